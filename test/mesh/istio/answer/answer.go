// Package answer keeps the standard output for what the program has to say: Istio's packages log to it, and some of
// them do so while they are initialised, before any line of main.
package answer

import "os"

// Out is the standard output.
var Out = os.Stdout

// Of the packages whose imports are ready, Go initialises the first by import path. This one needs os alone, and
// Istio's logger needs packages that come after it, so the logger finds the standard output taken away.
func init() { os.Stdout, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0) }
