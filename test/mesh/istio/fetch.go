package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"

	"mcp-guard.test/istio/answer"
)

// istiod writes this timeout into the source of every OCI module.
const pullTimeout = 30 * time.Second

// fetch loads a module the way Istio's agent does and copies it to a file.
func fetch(arguments []string) int {
	flags := flag.NewFlagSet("fetch", flag.ExitOnError)
	url := flags.String("url", "", "the `url` of a WasmPlugin")
	checksum := flags.String("sha256", "", "the sha256 of a WasmPlugin: `hex` of the manifest's digest")
	secret := flags.String("pull-secret", "", "a `file` with the content of a kubernetes.io/dockerconfigjson secret")
	insecure := flags.String("insecure", "", "`registries` whose certificate is not verified, with commas between")
	out := flags.String("out", "", "the `file` to copy the module to")
	// ExitOnError: this does not come back with an error.
	_ = flags.Parse(arguments)
	if *url == "" || *out == "" || flags.NArg() > 0 {
		return trouble("%s", usage)
	}
	options := wasm.GetOptions{
		Checksum: *checksum,
		// Any name and version do: they matter for a second look at the same cache.
		ResourceName:    "namespace.name",
		ResourceVersion: "1",
		RequestTimeout:  pullTimeout,
	}
	if *secret != "" {
		content, err := os.ReadFile(*secret)
		if err != nil {
			return trouble("%v", err)
		}
		options.PullSecret = content
	}

	// The cache makes one level of folders only, so its own must be there.
	folder, err := os.MkdirTemp("", "istio-fetch-")
	if err != nil {
		return trouble("%v", err)
	}
	defer os.RemoveAll(folder)
	if err := hideLogins(folder); err != nil {
		return trouble("%v", err)
	}
	registries := sets.New[string]()
	if *insecure != "" {
		registries.InsertAll(strings.Split(*insecure, ",")...)
	}
	cache := wasm.NewLocalFileCache(folder, wasm.Options{InsecureRegistries: registries})
	defer cache.Cleanup()
	file, err := cache.Get(*url, options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return statusRefused
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return trouble("%v", err)
	}
	if err := os.WriteFile(*out, module, 0o644); err != nil {
		return trouble("%v", err)
	}
	sum := sha256.Sum256(module)
	result, _ := json.Marshal(struct {
		Sha256 string `json:"sha256"`
		Bytes  int    `json:"bytes"`
	}{hex.EncodeToString(sum[:]), len(module)})
	fmt.Fprintln(answer.Out, string(result))
	return statusAccepted
}

// hideLogins keeps the registry logins of whoever runs this out of the answer: without a pull secret Istio asks
// Docker's configuration, and a sidecar has none.
func hideLogins(folder string) error {
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte("{}"), 0o600); err != nil {
		return err
	}
	return os.Setenv("DOCKER_CONFIG", folder)
}
