// The official Python SDK for the integration tests.
import { projectPath } from "../../src/project.ts";
import { type PythonEnvironment, type PythonOptions, type PythonPackages, providePythonPackages } from "./packages.ts";

const SDK: PythonPackages = {
  what: "the Python SDK",
  package: "mcp",
  requirements: projectPath("test", "python", "requirements.txt"),
};

/**
 * The SDK, installed unless it is there already.
 * @throws PythonUnavailableError in one sentence, when there is no suitable Python or pip cannot install.
 */
export const providePythonSdk = (options?: PythonOptions): PythonEnvironment => providePythonPackages(SDK, options);
