//! What stands in one file of `k8s/` and is used in another is there, and every overlay fits the schemas of Kubernetes.
