// Istio's own code over this project's artefact and manifests: what istiod, its agent and the API server would say.
package main

import (
	"fmt"
	"os"
)

const usage = `usage:
  istio fetch -url oci://HOST/REPOSITORY:TAG [-sha256 HEX] [-pull-secret FILE] [-insecure HOST:PORT,...] -out FILE
  istio validate -crds FILE [-crds FILE ...] MANIFEST...
  istio generate -manifests FILE [-manifests FILE ...] [-mesh FILE] -proxy sidecar|waypoint|router -namespace NAMESPACE -name NAME
        [-first-address ADDRESS] [-modules FOLDER [-insecure HOST:PORT]]
  istio admit -policies FILE [-policies FILE ...] [-oldest VERSION] -requests FILE
`

// The exit statuses. What a test asserts about Istio is statusRefused alone: trouble of our own must not look like it.
const (
	statusAccepted = 0
	statusRefused  = 1
	statusUsage    = 2
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "fetch":
			os.Exit(fetch(os.Args[2:]))
		case "validate":
			os.Exit(validate(os.Args[2:]))
		case "generate":
			os.Exit(generate(os.Args[2:]))
		case "admit":
			os.Exit(admit(os.Args[2:]))
		}
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(statusUsage)
}

// trouble reports what is not Istio's verdict: a wrong argument, a file that cannot be read or written.
func trouble(format string, arguments ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	return statusUsage
}
