package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	istiokind "istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config/crd"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"

	"mcp-guard.test/istio/answer"
)

// paths is a flag that may be given several times.
type paths []string

func (p *paths) String() string { return strings.Join(*p, " ") }

func (p *paths) Set(path string) error {
	*p = append(*p, path)
	return nil
}

// validate says of each object in the manifests whether an API server with Istio's CRDs and istiod's webhook takes it
// as it is written. An object of a kind that no CRD describes is refused: there is nothing here to judge it with.
func validate(arguments []string) int {
	flags := flag.NewFlagSet("validate", flag.ExitOnError)
	var crds paths
	flags.Var(&crds, "crds", "a `file` of CRDs; may be given several times")
	_ = flags.Parse(arguments)
	if len(crds) == 0 || flags.NArg() == 0 {
		return trouble("%s", usage)
	}
	// The CRDs are Istio's own: checking them too would cost more than everything else here.
	validator, err := crd.NewValidatorFromFilesWithOptions(crds, crd.WithoutCRDValidation())
	if err != nil {
		return trouble("%v", err)
	}
	status := statusAccepted
	for _, path := range flags.Args() {
		documents, err := documentsOf(path)
		if err != nil {
			return trouble("%s: %v", path, err)
		}
		objects := 0
		for i, document := range documents {
			// Strict: of a key that is there twice, the last one would win without a word.
			json, err := yaml.YAMLToJSONStrict(document)
			if err == nil && string(json) == "null" {
				continue
			}
			objects++
			subject, wrong := fmt.Sprintf("document %s#%d", path, i+1), []error{err}
			if err == nil {
				subject, wrong = judge(validator, subject, json)
			}
			if reasons := onOneLine(wrong...); reasons != "" {
				status = statusRefused
				fmt.Fprintf(answer.Out, "refused %s: %s\n", subject, reasons)
			} else {
				fmt.Fprintf(answer.Out, "ok %s\n", subject)
			}
		}
		// A file without an object must not pass for a checked one.
		if objects == 0 {
			return trouble("%s: no object in it", path)
		}
	}
	return status
}

// documentsOf returns the YAML documents of a file, empty ones too.
func documentsOf(path string) ([][]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var documents [][]byte
	reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
}

// judge returns how the object is called, place when it does not say, and what is wrong with it; some of it may be nil.
func judge(validator *crd.Validator, place string, json []byte) (string, []error) {
	// The errors of the strict decoder matter for the metadata, whose fields Istio's CRDs leave open.
	var object istiokind.IstioKind
	wrong, err := kubejson.UnmarshalStrict(json, &object)
	if err != nil {
		return place, []error{err}
	}
	var content unstructured.Unstructured
	if err := content.UnmarshalJSON(json); err != nil {
		return place, []error{err}
	}
	subject := fmt.Sprintf("%s %s/%s", object.Kind, object.Namespace, object.Name)

	// The structure, the CEL rules, and unknown fields, which the API server would drop without a word.
	if err := validator.ValidateCustomResource(&content); err != nil {
		prefix := fmt.Sprintf("%s/%s/%s: ", object.Kind, object.Name, object.Namespace)
		wrong = append(wrong, errors.New(strings.TrimPrefix(err.Error(), prefix)))
	}
	// The API server fills in the namespace of the request before anything looks at the object.
	if object.Namespace == "" {
		object.Namespace = "default"
	}
	isDNSName := metavalidation.NameIsDNSSubdomain
	invalid := metavalidation.ValidateObjectMeta(&object.ObjectMeta, true, isDNSName, field.NewPath("metadata"))
	return subject, append(wrong, invalid.ToAggregate(), judgeMeaning(subject, &object))
}

// judgeMeaning does what istiod's admission webhook does. A warning of it goes to the standard error.
func judgeMeaning(subject string, object *istiokind.IstioKind) error {
	gvk := object.GroupVersionKind()
	schema, exists := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
	if !exists {
		// The webhook is not asked about it.
		return nil
	}
	config, err := istiokind.ConvertObject(schema, object, "cluster.local")
	if err != nil {
		return err
	}
	warning, err := schema.ValidateConfig(*config)
	if warning != nil {
		fmt.Fprintf(os.Stderr, "warning %s: %s\n", subject, onOneLine(warning))
	}
	return err
}

// onOneLine puts the errors that are not nil, each of which may have several lines, into one line.
func onOneLine(errs ...error) string {
	var lines []string
	for _, err := range errs {
		if err != nil {
			lines = append(lines, strings.Join(strings.Fields(err.Error()), " "))
		}
	}
	return strings.Join(lines, "; ")
}
