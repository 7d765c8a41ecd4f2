//! What is no mistake, and yet worth a second look: told by `check`, and at the start.

use super::Settings;

impl Settings {
    /// One sentence each; none holds a secret.
    pub fn warnings(&self) -> Vec<String> {
        let server = &self.server;
        let mut warnings = Vec::new();
        if !server.admin_listen.ip().is_loopback() && server.admin_token.is_none() {
            warnings.push(format!(
                "server.admin_listen {} is reachable from outside and asks for no token: whoever reaches it reads every tenant's ledger and rejections; set `server.admin_token_file`, or keep it inside with a NetworkPolicy",
                server.admin_listen
            ));
        }
        if server.core_dumps {
            warnings.push("server.core_dumps is on: a crash may write every secret of the gateway to a file; turn it off when the debugging is done".to_owned());
        }
        warnings
    }
}
