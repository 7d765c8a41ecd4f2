//! A Kubernetes API server with its etcd, and `kubectl` for it.
