package main

import (
	"fmt"
	"os"

	"istio.io/istio/pkg/test"
)

// failer is what Istio's test rigs report to when they cannot go on. Outside of Go's own test runner there is nothing to go on to.
type failer struct{}

var _ test.Failer = failer{}

func (failer) Fail()    { os.Exit(statusUsage) }
func (failer) FailNow() { os.Exit(statusUsage) }

func (failer) Fatal(arguments ...any) {
	fmt.Fprintln(os.Stderr, arguments...)
	os.Exit(statusUsage)
}

func (failer) Fatalf(format string, arguments ...any) {
	os.Exit(trouble(format, arguments...))
}

func (f failer) Skip(arguments ...any) { f.Fatal(arguments...) }

func (failer) Log(arguments ...any) { fmt.Fprintln(os.Stderr, arguments...) }
func (failer) Logf(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
}

func (f failer) TempDir() string {
	folder, err := os.MkdirTemp("", "istio-generate-")
	if err != nil {
		f.Fatal(err)
	}
	return folder
}

func (failer) Helper() {}

// Cleanup keeps nothing: the end of the process ends all that a rig has started.
func (failer) Cleanup(func()) {}
