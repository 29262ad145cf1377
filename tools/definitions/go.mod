// Other projects' definitions of Kubernetes kinds. `tools/parts test` fetches the modules, and the tests read the
// definitions from the module cache: nothing of them is in this tree, and nothing here is compiled.
module irc.now/tools/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/openshift/api v0.0.0-20260813212709-d4bb0b443cb8
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.5.0
)
