//! What the fronts are told by who runs them.

use super::gocardless;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::model::Secret;
use url::Url;

/// Limits and settings of the fronts.
#[derive(Clone, Debug)]
pub struct FrontsConfig {
    /// The endpoint that each GoCardless organisation gets on its first call. GoCardless' endpoints
    /// are made in its dashboard, so that its API has no call for it; with `None` they are made
    /// through the engine, on the application that the front's answers name.
    pub gocardless_endpoint: Option<GoCardlessEndpoint>,
    /// Tenants that the fronts make at most: everybody who comes with a new key is one.
    pub tenants_max: usize,
    /// Connections that [`serve`](super::serve) keeps open at most; the next one waits.
    pub connections_max: usize,
    /// Bytes of a request's body at most.
    pub body_max_bytes: usize,
    /// Seconds in which a request's head, then the whole request, and then the reading of its answer
    /// must be over.
    pub request_seconds: u64,
}

/// Where an organisation's webhooks go, and what they are signed with.
#[derive(Clone, Debug)]
pub struct GoCardlessEndpoint {
    /// The integrator's URL.
    pub url: String,
    /// The secret that the integrator verifies with; the same for every organisation, since they
    /// share the URL. `Provider::generate_secret` makes one.
    pub secret: Secret,
}

impl Default for FrontsConfig {
    fn default() -> Self {
        Self {
            gocardless_endpoint: None,
            tenants_max: 1000,
            connections_max: 256,
            body_max_bytes: 64 * 1024,
            request_seconds: 30,
        }
    }
}

impl FrontsConfig {
    /// Refuses settings with which nothing could work.
    ///
    /// # Errors
    /// Names the setting.
    pub fn check(&self, engine: &Engine) -> Result<()> {
        let limits = [
            ("tenants_max", self.tenants_max),
            ("connections_max", self.connections_max),
            ("body_max_bytes", self.body_max_bytes),
            ("request_seconds", usize::from(self.request_seconds > 0)),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(Error::invalid(format!("`{name}` of the fronts must be above 0")));
        }
        let Some(endpoint) = &self.gocardless_endpoint else { return Ok(()) };
        let is_url = Url::parse(&endpoint.url)
            .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if !is_url {
            return Err(Error::invalid(format!(
                "the fronts' GoCardless endpoint `{}` is no URL: expected one like \
                 `https://shop.example/webhooks`",
                endpoint.url.escape_debug()
            )));
        }
        let provider = engine.provider(gocardless::PROVIDER)?;
        let context = "the fronts' GoCardless endpoint";
        provider.check_secret(&endpoint.secret).map_err(|error| error.within(context))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn settings_that_cannot_work_are_named() {
        let engine = Engine::builder().in_memory().open().await.unwrap();
        let default = FrontsConfig::default();
        assert!(default.check(&engine).is_ok());
        let config = FrontsConfig { request_seconds: 0, ..default.clone() };
        let error = config.check(&engine).unwrap_err();
        assert!(error.to_string().contains("`request_seconds`"), "{error}");

        let url = "https://shop.example/";
        for (url, secret, named) in [
            ("shop.example", "0f1e2d3c4b5a6978", "`shop.example`"),
            ("mailto:shop@shop.example", "0f1e2d3c4b5a6978", "mailto"),
            (url, "0f1e", "secret"),
        ] {
            let endpoint = GoCardlessEndpoint { url: url.to_owned(), secret: Secret::new(secret) };
            let config = FrontsConfig { gocardless_endpoint: Some(endpoint), ..default.clone() };
            let error = config.check(&engine).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{config:?}{error}").contains("0f1e"), "a secret is not shown");
        }
    }
}
