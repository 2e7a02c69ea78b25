package main

import (
	"fmt"
	"net/netip"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/kube"
)

const (
	waypointClass = "istio-waypoint"
	gatewayName   = "gateway.networking.k8s.io/gateway-name"
)

// cluster is what an API server would have of some manifests, and what the controllers of Kubernetes and of Istio make of them.
type cluster struct {
	// Documents of Istio's own kinds.
	configs []string
	objects []runtime.Object
	pods    []*corev1.Pod
	// Labels of namespaces, by name.
	namespaces map[string]map[string]string
	// The address of the next pod.
	address netip.Addr
	// The last part of the address of the next service.
	service int
}

// newCluster reads the manifests. The pods get addresses from the first one on.
func newCluster(manifests []string, first netip.Addr) (*cluster, error) {
	c := &cluster{namespaces: map[string]map[string]string{}, address: first, service: 10}
	for _, path := range manifests {
		documents, err := documentsOf(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for i, document := range documents {
			if err := c.add(document); err != nil {
				return nil, fmt.Errorf("%s#%d: %w", path, i+1, err)
			}
		}
	}
	c.control()
	return c, nil
}

// add takes one document in.
func (c *cluster) add(document []byte) error {
	json, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	if string(json) == "null" {
		return nil
	}
	object, gvk, err := kube.IstioCodec.UniversalDeserializer().Decode(json, nil, nil)
	if err != nil {
		return err
	}
	if _, isIstio := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(gvk)); isIstio {
		c.configs = append(c.configs, string(document))
	}
	if namespace, ok := object.(*corev1.Namespace); ok {
		c.namespaces[namespace.Name] = namespace.Labels
	}
	c.objects = append(c.objects, object)
	return nil
}

// control does what controllers do: it runs pods and gives everything its address.
func (c *cluster) control() {
	var services []*corev1.Service
	for _, object := range c.objects {
		switch object := object.(type) {
		case *appsv1.Deployment:
			c.run(object.Name, object.Namespace, object.Spec.Template)
		case *corev1.Service:
			services = append(services, object)
		case *gatewayv1.Gateway:
			if object.Spec.GatewayClassName == waypointClass {
				services = append(services, c.runWaypoint(object))
			}
		}
	}
	for _, service := range services {
		if service.Spec.ClusterIP == "" && service.Spec.Type != corev1.ServiceTypeExternalName {
			service.Spec.ClusterIP = fmt.Sprintf("10.96.0.%d", c.service)
			c.service++
		}
		if slice := c.endpointsOf(service); slice != nil {
			c.objects = append(c.objects, slice)
		}
	}
}

// run makes one pod of a template, as it is when admission, injection and the kubelet are done with it.
func (c *cluster) run(name, namespace string, template corev1.PodTemplateSpec) {
	address := c.address.String()
	c.address = c.address.Next()
	pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name, pod.Namespace = name+"-0", namespace
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	of := c.namespaces[namespace]
	_, hasRevision := of["istio.io/rev"]
	if (of["istio-injection"] == "enabled" || hasRevision) && pod.Labels["sidecar.istio.io/inject"] != "false" {
		// Injection says by this label that the pod takes mTLS.
		pod.Labels["security.istio.io/tlsMode"] = "istio"
	}
	if of["istio.io/dataplane-mode"] == "ambient" && pod.Labels[gatewayName] == "" {
		// istio-cni says by this annotation that the pod is behind ztunnel.
		pod.Annotations["ambient.istio.io/redirection"] = "enabled"
	}
	pod.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIP:      address,
		PodIPs:     []corev1.PodIP{{IP: address}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	c.pods = append(c.pods, pod)
	c.objects = append(c.objects, pod)
}

// runWaypoint makes what Istio's controller makes of a waypoint's Gateway: a pod, a Service, an address in its status.
func (c *cluster) runWaypoint(gateway *gatewayv1.Gateway) *corev1.Service {
	own := map[string]string{gatewayName: gateway.Name, "gateway.istio.io/managed": "istio.io-mesh-controller"}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: own}}
	template.Spec.ServiceAccountName = gateway.Name
	c.run(gateway.Name, gateway.Namespace, template)
	hostname := gatewayv1.HostnameAddressType
	gateway.Status.Addresses = []gatewayv1.GatewayStatusAddress{
		{Type: &hostname, Value: fmt.Sprintf("%s.%s.svc.cluster.local", gateway.Name, gateway.Namespace)},
	}
	hbone := "hbone"
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: gateway.Name, Namespace: gateway.Namespace, Labels: own},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{gatewayName: gateway.Name},
			Ports:    []corev1.ServicePort{{Name: "mesh", Port: 15008, AppProtocol: &hbone, TargetPort: intstr.FromInt32(15008)}},
		},
	}
	c.objects = append(c.objects, service)
	return service
}

// endpointsOf says where a service leads; nil when it has no pod.
func (c *cluster) endpointsOf(service *corev1.Service) *discoveryv1.EndpointSlice {
	if len(service.Spec.Selector) == 0 {
		return nil
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:      service.Name + "-0",
			Namespace: service.Namespace,
			Labels:    map[string]string{discoveryv1.LabelServiceName: service.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	selector := labels.SelectorFromSet(service.Spec.Selector)
	for _, pod := range c.pods {
		if pod.Namespace != service.Namespace || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if len(slice.Endpoints) == 0 {
			slice.Ports = portsOf(service, pod)
		}
		isReady := true
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{pod.Status.PodIP},
			Conditions: discoveryv1.EndpointConditions{Ready: &isReady},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: pod.Name, Namespace: pod.Namespace},
		})
	}
	if len(slice.Endpoints) == 0 {
		return nil
	}
	return slice
}

// portsOf are the ports of a pod that a service leads to.
func portsOf(service *corev1.Service, pod *corev1.Pod) []discoveryv1.EndpointPort {
	var ports []discoveryv1.EndpointPort
	for _, port := range service.Spec.Ports {
		number := port.TargetPort.IntVal
		if number == 0 {
			number = port.Port
		}
		for _, container := range pod.Spec.Containers {
			for _, of := range container.Ports {
				if port.TargetPort.Type == intstr.String && of.Name == port.TargetPort.StrVal {
					number = of.ContainerPort
				}
			}
		}
		protocol := corev1.ProtocolTCP
		if port.Protocol != "" {
			protocol = port.Protocol
		}
		name := port.Name
		ports = append(ports, discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: &protocol})
	}
	return ports
}

// podOf is the pod of a Deployment or of a waypoint.
func (c *cluster) podOf(namespace, name string) *corev1.Pod {
	for _, pod := range c.pods {
		if pod.Namespace == namespace && pod.Name == name+"-0" {
			return pod
		}
	}
	return nil
}

// store is what istiod reads of Istio's own kinds, as one text.
func (c *cluster) store() string { return strings.Join(c.configs, "\n---\n") }
