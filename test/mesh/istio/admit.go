package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/cel/environment"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"mcp-guard.test/istio/answer"
)

// request is one request to the API server, as far as admission looks at it.
type request struct {
	Operation   admission.Operation        `json:"operation"`
	Subresource string                     `json:"subresource"`
	Object      *unstructured.Unstructured `json:"object"`
	OldObject   *unstructured.Unstructured `json:"oldObject"`
}

// verdicts is what is printed.
type verdicts struct {
	// What is wrong with policies: such ones the API server would not take.
	Wrong []string `json:"wrong"`
	// For each request why it is refused; empty when it is admitted.
	Refusals []string `json:"refusals"`
}

// admit has the API server's own code decide requests by ValidatingAdmissionPolicies.
func admit(arguments []string) int {
	flags := flag.NewFlagSet("admit", flag.ExitOnError)
	var files paths
	flags.Var(&files, "policies", "a `file` of policies, their bindings, and namespaces; may be given several times")
	oldest := flags.String("oldest", "1.30", "the oldest `version` of Kubernetes whose CEL has to understand the policies")
	requestsFile := flags.String("requests", "", "a `file` with requests, a JSON array")
	_ = flags.Parse(arguments)
	if len(files) == 0 || *requestsFile == "" || flags.NArg() > 0 {
		return trouble("%s", usage)
	}
	var requests []request
	text, err := os.ReadFile(*requestsFile)
	if err == nil {
		err = json.Unmarshal(text, &requests)
	}
	if err != nil {
		return trouble("%s: %v", *requestsFile, err)
	}
	var objects []runtime.Object
	for _, file := range files {
		found, err := admissionObjects(file)
		if err != nil {
			return trouble("%s: %v", file, err)
		}
		objects = append(objects, found...)
	}
	oldestVersion, err := version.ParseGeneric(*oldest)
	if err != nil {
		return trouble("%v", err)
	}

	result := verdicts{Wrong: []string{}, Refusals: []string{}}
	policies := map[string]bool{}
	for _, object := range objects {
		if policy, ok := object.(*admissionv1.ValidatingAdmissionPolicy); ok {
			policies[policy.Name] = true
			for _, by := range []*version.Version{oldestVersion, environment.DefaultCompatibilityVersion()} {
				result.Wrong = append(result.Wrong, compileErrors(policy, by)...)
			}
		}
	}
	for _, object := range objects {
		binding, ok := object.(*admissionv1.ValidatingAdmissionPolicyBinding)
		if ok && !policies[binding.Spec.PolicyName] {
			result.Wrong = append(result.Wrong, fmt.Sprintf("%s: no policy %s", binding.Name, binding.Spec.PolicyName))
		}
	}
	plugin, err := startAdmission(objects)
	if err != nil {
		return trouble("%v", err)
	}
	for _, request := range requests {
		refusal, err := decide(plugin, request)
		if err != nil {
			return trouble("%v", err)
		}
		result.Refusals = append(result.Refusals, refusal)
	}
	if err := json.NewEncoder(answer.Out).Encode(result); err != nil {
		return trouble("%v", err)
	}
	if len(result.Wrong) > 0 {
		return statusRefused
	}
	return statusAccepted
}

// admissionObjects reads a file of objects that the API server decides by, with the defaults that it would have filled in.
func admissionObjects(file string) ([]runtime.Object, error) {
	documents, err := documentsOf(file)
	if err != nil {
		return nil, err
	}
	var objects []runtime.Object
	for _, document := range documents {
		text, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		if string(text) == "null" {
			continue
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(text, nil, nil)
		if err != nil {
			return nil, err
		}
		// Unknown fields, which the API server would drop with a warning.
		wrong, err := kubejson.UnmarshalStrict(text, object)
		if err := errors.Join(append(wrong, err)...); err != nil {
			return nil, err
		}
		switch object := object.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			setDefaults(object.Spec.MatchConstraints)
			if object.Spec.FailurePolicy == nil {
				fail := admissionv1.Fail
				object.Spec.FailurePolicy = &fail
			}
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			setDefaults(object.Spec.MatchResources)
		case *corev1.Namespace:
			if object.Labels == nil {
				object.Labels = map[string]string{}
			}
			// Kubernetes itself sets this label.
			object.Labels[corev1.LabelMetadataName] = object.Name
		default:
			return nil, fmt.Errorf("%T is nothing that admission decides by", object)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func setDefaults(resources *admissionv1.MatchResources) {
	if resources == nil {
		return
	}
	// A selector that is not there selects nothing, an empty one everything.
	if resources.NamespaceSelector == nil {
		resources.NamespaceSelector = &metav1.LabelSelector{}
	}
	if resources.ObjectSelector == nil {
		resources.ObjectSelector = &metav1.LabelSelector{}
	}
	if resources.MatchPolicy == nil {
		equivalent := admissionv1.Equivalent
		resources.MatchPolicy = &equivalent
	}
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{resources.ResourceRules, resources.ExcludeResourceRules} {
		for i := range rules {
			if rules[i].Scope == nil {
				all := admissionv1.AllScopes
				rules[i].Scope = &all
			}
		}
	}
}

// compileErrors is what the CEL of one version of Kubernetes does not take in a policy.
func compileErrors(policy *admissionv1.ValidatingAdmissionPolicy, by *version.Version) []string {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(by))
	if err != nil {
		return []string{err.Error()}
	}
	options := cel.OptionalVariableDeclarations{HasParams: policy.Spec.ParamKind != nil, HasAuthorizer: true}
	var wrong []string
	note := func(place string, result cel.CompilationResult) {
		if result.Error != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %s, Kubernetes %s: %s", policy.Name, place, by, result.Error.Detail))
		}
	}
	compile := func(place string, expression cel.ExpressionAccessor) {
		note(place, compiler.CompileCELExpression(expression, options, environment.NewExpressions))
	}
	for _, variable := range policy.Spec.Variables {
		expression := &validating.Variable{Name: variable.Name, Expression: variable.Expression}
		note("variable "+variable.Name, compiler.CompileAndStoreVariable(expression, options, environment.NewExpressions))
	}
	for i := range policy.Spec.MatchConditions {
		condition := (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i])
		compile("match condition "+condition.Name, condition)
	}
	for i, validation := range policy.Spec.Validations {
		compile(fmt.Sprintf("validation %d", i), &validating.ValidationCondition{Expression: validation.Expression})
		if validation.MessageExpression != "" {
			expression := &validating.MessageExpressionCondition{MessageExpression: validation.MessageExpression}
			compile(fmt.Sprintf("message %d", i), expression)
		}
	}
	return wrong
}

// startAdmission sets the API server's plugin up over these objects.
func startAdmission(objects []runtime.Object) (*validating.Plugin, error) {
	plugin, err := validating.NewPlugin(nil)
	if err != nil {
		return nil, err
	}
	client := fake.NewSimpleClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(scheme.Scheme))
	plugin.SetRESTMapper(meta.NewDefaultRESTMapper(nil))
	plugin.SetAuthorizer(authorizerfactory.NewAlwaysAllowAuthorizer())
	// The end of the process ends what has been started.
	never := make(chan struct{})
	plugin.SetDrainedNotification(never)
	if err := plugin.ValidateInitialization(); err != nil {
		return nil, err
	}
	factory.Start(never)
	factory.WaitForCacheSync(never)
	if !plugin.WaitForReady() {
		return nil, errors.New("the admission plugin is not ready")
	}
	return plugin, nil
}

// decide returns why a request is refused, nothing when it is admitted.
func decide(plugin *validating.Plugin, request request) (string, error) {
	subject := request.Object
	if subject == nil {
		subject = request.OldObject
	}
	if subject == nil {
		return "", errors.New("a request without an object")
	}
	kind := subject.GroupVersionKind()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	namespace := subject.GetNamespace()
	if kind.Group == "" && kind.Kind == "Namespace" {
		namespace = subject.GetName()
	}
	attributes := admission.NewAttributesRecord(
		objectOrNil(request.Object), objectOrNil(request.OldObject), kind, namespace, subject.GetName(), resource, request.Subresource,
		request.Operation, nil, false, &user.DefaultInfo{Name: "somebody"},
	)
	err := plugin.Validate(context.Background(), attributes, admission.NewObjectInterfacesFromScheme(runtime.NewScheme()))
	if err == nil {
		return "", nil
	}
	if status, ok := err.(apierrors.APIStatus); ok && status.Status().Details != nil && len(status.Status().Details.Causes) > 0 {
		return status.Status().Details.Causes[0].Message, nil
	}
	return "", err
}

// objectOrNil keeps a nil pointer from becoming an object.
func objectOrNil(object *unstructured.Unstructured) runtime.Object {
	if object == nil {
		return nil
	}
	return object
}
