package main

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/constants"
	"istio.io/istio/pkg/config/mesh"
	// The messages of all extensions that istiod names: without them their configurations have no JSON form.
	_ "istio.io/istio/pkg/config/xds"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wasm"

	"mcp-guard.test/istio/answer"
)

// The release that go.mod names, as proxies of it say it. istiod asks for it before it sends what older ones do not know.
const istioVersion = "1.31.0"

var proxyTypes = map[string]model.NodeType{"sidecar": model.SidecarProxy, "waypoint": model.Waypoint, "router": model.Router}

// resources is what a proxy gets from istiod, or from its agent, in Envoy's own JSON form.
type resources struct {
	Listeners  []json.RawMessage `json:"listeners"`
	Clusters   []json.RawMessage `json:"clusters"`
	Routes     []json.RawMessage `json:"routes"`
	Endpoints  []json.RawMessage `json:"endpoints"`
	Extensions []json.RawMessage `json:"extensions"`
}

// generate has istiod make the configuration of one proxy out of manifests. istiod's flags are environment variables, as ever.
func generate(arguments []string) int {
	flags := flag.NewFlagSet("generate", flag.ExitOnError)
	var manifests paths
	flags.Var(&manifests, "manifests", "a `file` of manifests; may be given several times")
	values := flags.String("mesh", "", "a `file` with values of Istio's istiod chart, of which meshConfig counts")
	kind := flags.String("proxy", "", "sidecar, waypoint or router")
	namespace := flags.String("namespace", "", "the proxy's `namespace`")
	name := flags.String("name", "", "the `name` of the Deployment that the proxy belongs to, or of the waypoint's Gateway")
	first := flags.String("first-address", "10.244.0.10", "the `address` of the first pod; the next ones follow")
	modules := flags.String("modules", "", "a `folder` for modules: has the agent's code fetch them and write where they are")
	insecure := flags.String("insecure", "", "a `registry` whose certificate is not verified")
	_ = flags.Parse(arguments)
	kindOf, isKnown := proxyTypes[*kind]
	if len(manifests) == 0 || !isKnown || *namespace == "" || *name == "" || flags.NArg() > 0 {
		return trouble("%s", usage)
	}
	address, err := netip.ParseAddr(*first)
	if err != nil {
		return trouble("%v", err)
	}
	meshConfig, err := meshConfigOf(*values)
	if err != nil {
		return trouble("%s: %v", *values, err)
	}
	objects, err := newCluster(manifests, address)
	if err != nil {
		return trouble("%v", err)
	}
	pod := objects.podOf(*namespace, *name)
	if pod == nil {
		return trouble("no Deployment and no waypoint %s/%s in the manifests", *namespace, *name)
	}

	server := xds.NewFakeDiscoveryServer(failer{}, xds.FakeOptions{
		ConfigString:      objects.store(),
		KubernetesObjects: objects.objects,
		MeshConfig:        meshConfig,
	})
	server.EnsureSynced(failer{})
	proxy := server.SetupProxy(proxyIn(pod, kindOf))
	listeners := server.Listeners(proxy)
	extensions := server.ConfigGen.BuildExtensionConfiguration(proxy, server.PushContext(), extensionNames(listeners), nil)
	packed := make([]*anypb.Any, 0, len(extensions))
	for _, extension := range extensions {
		wrapped, err := anypb.New(extension)
		if err != nil {
			return trouble("%v", err)
		}
		packed = append(packed, wrapped)
	}
	if *modules != "" {
		if err := convert(packed, *modules, *insecure); err != nil {
			return trouble("%v", err)
		}
	}
	converted := make([]proto.Message, 0, len(packed))
	for _, wrapped := range packed {
		message, err := wrapped.UnmarshalNew()
		if err != nil {
			return trouble("%v", err)
		}
		converted = append(converted, message)
	}

	var result resources
	for _, part := range []struct {
		to   *[]json.RawMessage
		from []proto.Message
	}{
		{&result.Listeners, messages(listeners)},
		{&result.Clusters, messages(server.Clusters(proxy))},
		{&result.Routes, messages(server.RoutesFromListeners(proxy, listeners))},
		{&result.Endpoints, messages(server.Endpoints(proxy))},
		{&result.Extensions, converted},
	} {
		*part.to = make([]json.RawMessage, 0, len(part.from))
		for _, message := range part.from {
			text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
			if err != nil {
				return trouble("%v", err)
			}
			*part.to = append(*part.to, text)
		}
	}
	if err := json.NewEncoder(answer.Out).Encode(result); err != nil {
		return trouble("%v", err)
	}
	return statusAccepted
}

// meshConfigOf reads the mesh's configuration out of values for the istiod chart.
func meshConfigOf(path string) (*meshconfig.MeshConfig, error) {
	if path == "" {
		return mesh.DefaultMeshConfig(), nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var values struct {
		MeshConfig map[string]any `json:"meshConfig"`
	}
	if err := yaml.Unmarshal(content, &values); err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(values.MeshConfig)
	if err != nil {
		return nil, err
	}
	return mesh.ApplyMeshConfig(string(text), mesh.DefaultMeshConfig())
}

// proxyIn is the proxy of a pod, as it presents itself to istiod.
func proxyIn(pod *corev1.Pod, kind model.NodeType) *model.Proxy {
	return &model.Proxy{
		Type:            kind,
		ID:              pod.Name + "." + pod.Namespace,
		ConfigNamespace: pod.Namespace,
		Labels:          pod.Labels,
		IPAddresses:     []string{pod.Status.PodIP},
		Metadata: &model.NodeMetadata{
			ClusterID:      constants.DefaultClusterName,
			IstioVersion:   istioVersion,
			Namespace:      pod.Namespace,
			Labels:         pod.Labels,
			Annotations:    pod.Annotations,
			ServiceAccount: pod.Spec.ServiceAccountName,
			InstanceIPs:    []string{pod.Status.PodIP},
		},
	}
}

// extensionNames are the names that Envoy asks for when it has got the listeners.
func extensionNames(listeners []*listenerv3.Listener) []string {
	names := sets.New[string]()
	for _, listener := range listeners {
		chains := listener.GetFilterChains()
		if chain := listener.GetDefaultFilterChain(); chain != nil {
			chains = append(chains, chain)
		}
		for _, chain := range chains {
			for _, filter := range chain.GetFilters() {
				if filter.GetConfigDiscovery() != nil {
					names.Insert(filter.GetName())
				}
				manager := &hcmv3.HttpConnectionManager{}
				if !filter.GetTypedConfig().MessageIs(manager) {
					continue
				}
				if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
					failer{}.Fatal(err)
				}
				for _, httpFilter := range manager.GetHttpFilters() {
					if httpFilter.GetConfigDiscovery() != nil {
						names.Insert(httpFilter.GetName())
					}
				}
			}
		}
	}
	return sets.SortedList(names)
}

// convert does what the agent does between istiod and Envoy: it fetches modules, and what cannot be fetched it replaces.
func convert(extensions []*anypb.Any, folder, insecure string) error {
	if err := hideLogins(folder); err != nil {
		return err
	}
	registries := sets.New[string]()
	if insecure != "" {
		registries.Insert(insecure)
	}
	cache := wasm.NewLocalFileCache(folder, wasm.Options{InsecureRegistries: registries})
	defer cache.Cleanup()
	return wasm.MaybeConvertWasmExtensionConfig(extensions, cache)
}

func messages[T proto.Message](list []T) []proto.Message {
	result := make([]proto.Message, 0, len(list))
	for _, message := range list {
		result = append(result, message)
	}
	return result
}
