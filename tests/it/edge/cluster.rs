//! A real Kubernetes API server takes every overlay, and gives Telegraf exactly the rights that its discovery needs.
