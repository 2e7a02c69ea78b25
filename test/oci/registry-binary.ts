// The registry's program: Debian's docker-registry 2.8, unless REGISTRY_BINARY names another.
import { debianProgram } from "../debian-program.ts";

/** The path of the program. @throws ProgramUnavailableError in one sentence. */
export function registryBinary(): Promise<string> {
  return debianProgram({ program: "docker-registry", package: "docker-registry", environment: "REGISTRY_BINARY" });
}
