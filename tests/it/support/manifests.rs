//! What kustomize makes of `k8s/`, as JSON.
