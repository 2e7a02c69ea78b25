// Whether this machine can start a registry for the tests.
import { ProgramUnavailableError } from "../debian-program.ts";
import { registryBinary } from "./registry-binary.ts";

/** Says in one line what is not run when there is no registry. */
export async function isRegistryAvailable(): Promise<boolean> {
  try {
    await registryBinary();
    return true;
  } catch (error) {
    if (!(error instanceof ProgramUnavailableError)) throw error;
    console.log(`not run: what needs a container registry: ${error.message}`);
    return false;
  }
}
