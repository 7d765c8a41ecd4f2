//! The InfluxDB that is set up: what it has, and the steps of a plan done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use influxdb2::api::authorizations::{CreateAuthorizationRequest, ListAuthorizationsRequest};
use influxdb2::api::task::{CreateTaskRequest, ListTasksRequest};
use influxdb2::models::permission::{Action as Right, Permission};
use influxdb2::models::resource::{Resource, Type};
use influxdb2::models::{Authorization, TaskStatusType};
use influxdb2::{Client, RequestError};
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::super::literal::Literal;
use super::super::run::Reader;
use super::plan::{Action, Found, FoundBucket, FoundSecret, FoundTask, FoundToken, Plan, To, right_token};
use super::{ALERT_URL, Tasks, Wanted, task};
use crate::config::Source;
use crate::deliver::influx::{self, Connection, Rest, brief};

/// How many tasks are asked for at once: InfluxDB gives 500 at the most.
const PAGE: u16 = 100;
/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An organisation of an InfluxDB, by a token that may set it up.
#[derive(Debug)]
pub(crate) struct Server {
    api: Client,
    rest: Rest,
    reader: Reader,
    url: String,
    org_id: String,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct SetUp {
    /// The wanted tokens by their description; `None`: InfluxDB shows it no more.
    pub(crate) tokens: BTreeMap<String, Option<String>>,
    /// What the wanted buckets keep.
    pub(crate) retention: BTreeMap<String, Duration>,
}

impl Server {
    /// Looks for the organisation. Errors: what, where, and what to do.
    pub(crate) async fn open(url: &str, org: &str, token: &str) -> Result<Self, String> {
        let connection = Connection { url, org, token, timeout: PATIENCE, gzip: false };
        let (api, rest) = (influx::client(&connection)?, Rest::new(&connection)?);
        let source = Source { url: url.to_owned(), org: org.to_owned(), bucket: String::new(), token: token.into() };
        let reader = Reader::new(&source, PATIENCE).map_err(|error| error.to_string())?;
        let at = |why: String| format!("looking for the organisation at {url}: {why}");
        let org_id = influx::organization(&api, org).await.map_err(|error| at(refused(error)))?;
        let org_id = org_id.ok_or_else(|| {
            at(format!(
                "no organisation {org:?} can be seen with this token; create it (`influx org create`), or name another with --org"
            ))
        })?;
        Ok(Self { api, rest, reader, url: url.to_owned(), org_id })
    }

    fn at(&self, what: &str, error: RequestError) -> String {
        format!("{what} at {}: {}", self.url, refused(error))
    }

    /// What it has of what is asked for.
    pub(crate) async fn found(&self, wanted: &Wanted) -> Result<Found, String> {
        let mut found = Found::default();
        for bucket in &wanted.buckets {
            found.buckets.extend(self.bucket(&bucket.name).await?.map(|known| (bucket.name.clone(), known)));
        }
        if wanted.scope.tokens {
            found.tokens =
                self.authorizations().await?.into_iter().map(|known| known_token(known, &self.org_id)).collect();
        }
        if wanted.scope.tasks != Tasks::Leave {
            found.tasks = self.tasks().await?;
        }
        if wanted.scope.tasks == Tasks::Install {
            found.alert_url = self.secret(wanted.alert_url()).await?;
        }
        Ok(found)
    }

    /// Does the steps of a plan, in order, and says each when it is done. What was done before an error stays: the next run goes on from there.
    pub(crate) async fn apply(&self, plan: &Plan, wanted: &Wanted) -> Result<SetUp, String> {
        let mut made = BTreeMap::new();
        for step in &plan.steps {
            if let Some(action) = &step.action {
                let token = self.one(action, wanted).await.map_err(|error| self.at(&step.what, error))?;
                made.extend(token);
            }
        }
        let mut set_up = SetUp::default();
        for bucket in &wanted.buckets {
            let kept = self.bucket(&bucket.name).await?.map_or(bucket.retention, |bucket| bucket.retention);
            set_up.retention.insert(bucket.name.clone(), kept);
        }
        if wanted.scope.tokens {
            let found = self.found(wanted).await?;
            let shown = self.authorizations().await?;
            for token in &wanted.tokens {
                let known = right_token(&found, token).map(|known| known.id.clone());
                let known =
                    shown.iter().find(|one| known.is_some() && one.id == known).and_then(|one| one.token.clone());
                let token_text = made.remove(&token.description).or(known).filter(|token| !token.is_empty());
                set_up.tokens.insert(token.description.clone(), token_text);
            }
        }
        Ok(set_up)
    }

    /// Does one step. A token that was made is given back, with its description: InfluxDB may never show it again.
    async fn one(&self, action: &Action, wanted: &Wanted) -> Result<Option<(String, String)>, RequestError> {
        match action {
            Action::CreateBucket { name, retention } => {
                influx::create_bucket(&self.api, self.org_id.clone(), name, *retention).await?;
            }
            Action::SetRetention { id, retention } => {
                let rules = if retention.is_zero() {
                    json!([])
                } else {
                    json!([{ "type": "expire", "everySeconds": retention.as_secs() }])
                };
                let body = json!({ "retentionRules": rules });
                self.rest.call(Method::PATCH, &format!("/api/v2/buckets/{id}"), Some(&body)).await?;
            }
            Action::CreateToken { description, right, buckets, organisation } => {
                return self.create_token(description, *right, buckets, *organisation).await;
            }
            Action::WriteAlertUrl => {
                let body = json!({ ALERT_URL: wanted.alert_url().unwrap_or_default() });
                let path = format!("/api/v2/orgs/{}/secrets", self.org_id);
                self.rest.call(Method::PATCH, &path, Some(&body)).await?;
            }
            Action::CreateTask { flux } => {
                let request = CreateTaskRequest {
                    description: Some(task::DESCRIPTION.to_owned()),
                    org_id: Some(self.org_id.clone()),
                    ..CreateTaskRequest::new(flux.clone())
                };
                self.api.create_task(request).await?;
            }
            Action::UpdateTask { id, flux } => {
                let body = json!({ "flux": flux, "description": task::DESCRIPTION });
                self.rest.call(Method::PATCH, &format!("/api/v2/tasks/{id}"), Some(&body)).await?;
            }
            Action::DeleteTask { id } => match self.api.delete_task(id).await {
                // Somebody was quicker.
                Err(RequestError::Http { status: StatusCode::NOT_FOUND, .. }) => {}
                deleted => deleted?,
            },
        }
        Ok(None)
    }

    async fn create_token(
        &self,
        description: &str,
        right: Right,
        buckets: &[String],
        organisation: bool,
    ) -> Result<Option<(String, String)>, RequestError> {
        let mut permissions = Vec::new();
        if organisation {
            let resource = Resource { id: Some(self.org_id.clone()), ..Resource::new(Type::Orgs) };
            permissions.push(Permission::new(right, resource));
        }
        for name in buckets {
            let found = influx::bucket(&self.api, &self.org_id, name).await?;
            let Some((id, _)) = found else {
                let text = format!("the bucket {name:?} cannot be seen with this token");
                return Err(RequestError::Deserializing { text });
            };
            let resource = Resource { id: Some(id), org_id: Some(self.org_id.clone()), ..Resource::new(Type::Buckets) };
            permissions.push(Permission::new(right, resource));
        }
        let request = CreateAuthorizationRequest {
            description: Some(description.to_owned()),
            org_id: self.org_id.clone(),
            permissions,
            ..CreateAuthorizationRequest::default()
        };
        let made = self.api.create_authorization(request).await?;
        Ok(made.token.map(|token| (description.to_owned(), token)))
    }

    async fn bucket(&self, name: &str) -> Result<Option<FoundBucket>, String> {
        let found = influx::bucket(&self.api, &self.org_id, name).await;
        let found = found.map_err(|error| self.at(&format!("looking for the bucket {name:?}"), error))?;
        Ok(found.map(|(id, retention)| FoundBucket { id, retention }))
    }

    async fn authorizations(&self) -> Result<Vec<Authorization>, String> {
        let request =
            ListAuthorizationsRequest { org_id: Some(self.org_id.clone()), ..ListAuthorizationsRequest::default() };
        let known = self.api.list_authorizations(request).await;
        Ok(known.map_err(|error| self.at("listing the tokens", error))?.authorizations)
    }

    /// All tasks, page by page.
    async fn tasks(&self) -> Result<Vec<FoundTask>, String> {
        let mut all: Vec<FoundTask> = Vec::new();
        loop {
            let request = ListTasksRequest {
                after: all.last().map(|task| task.id.clone()),
                limit: Some(PAGE),
                org_id: Some(self.org_id.clone()),
                ..ListTasksRequest::default()
            };
            let page = self.api.list_tasks(request).await.map_err(|error| self.at("listing the tasks", error))?.tasks;
            let full = page.len() >= usize::from(PAGE);
            all.extend(page.into_iter().map(|task| FoundTask {
                active: task.status != Some(TaskStatusType::Inactive),
                description: task.description.unwrap_or_default(),
                id: task.id,
                name: task.name,
                flux: task.flux,
            }));
            if !full {
                return Ok(all);
            }
        }
    }

    /// Whether the secret is there, and whether it is this one. InfluxDB shows no secret, but it makes a digest of it, which tells nobody else anything:
    /// what is put before it differs each time.
    async fn secret(&self, wanted: Option<&str>) -> Result<FoundSecret, String> {
        let path = format!("/api/v2/orgs/{}/secrets", self.org_id);
        let keys = self.rest.call(Method::GET, &path, None).await;
        let keys = keys.map_err(|error| self.at("listing the secrets' names", error))?;
        let keys: serde_json::Value = serde_json::from_str(&keys).unwrap_or_default();
        let there = keys["secrets"].as_array().is_some_and(|keys| keys.iter().any(|key| key == ALERT_URL));
        let Some(wanted) = wanted.filter(|_| there) else {
            return Ok(if there { FoundSecret::Untold } else { FoundSecret::Absent });
        };
        let before = hex(&random());
        let flux = format!(
            "import \"array\"\nimport \"contrib/qxip/hash\"\nimport \"influxdata/influxdb/secrets\"\n\
             array.from(rows: [{{digest: hash.sha256(v: {} + secrets.get(key: {}))}}])",
            Literal::text(&before).text,
            Literal::text(ALERT_URL).text
        );
        let ours = hex(digest(&SHA256, format!("{before}{wanted}").as_bytes()).as_ref());
        Ok(match self.reader.ask(&flux).await {
            Ok(answer) if answer.first().and_then(|row| row.text("digest")) == Some(&ours) => FoundSecret::Same,
            Ok(_) => FoundSecret::Other,
            // Too old for the function, or the token may not read secrets.
            Err(_) => FoundSecret::Untold,
        })
    }
}

fn known_token(known: Authorization, org_id: &str) -> FoundToken {
    let right = |permission: &Permission| {
        let to = match (permission.resource.r#type, permission.resource.id.clone()?) {
            (Type::Buckets, id) => To::Bucket(id),
            (Type::Orgs, id) if id == org_id => To::Organisation,
            _ => return None,
        };
        Some((permission.action, to))
    };
    FoundToken {
        id: known.id.unwrap_or_default(),
        description: known.description.unwrap_or_default(),
        rights: known.permissions.iter().map(right).collect::<Option<BTreeSet<_>>>(),
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness the digest is one that could be looked up by who sees the answer: the holder of this token.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An error in words, with what to do: InfluxDB answers 401 to a token that it does not know and to one that may not do this, and 403 now and then.
fn refused(error: RequestError) -> String {
    let hint = match &error {
        RequestError::Http { status: StatusCode::UNAUTHORIZED, text } if !text.contains(" is unauthorized") => {
            "; is INFLUXDB_ADMIN_TOKEN a token of this InfluxDB?"
        }
        RequestError::Http { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => {
            "; INFLUXDB_ADMIN_TOKEN may not do that: take the operator's token, or an all-access one of this organisation (for buckets and tokens alone, \
             --no-tasks needs less)"
        }
        _ => "",
    };
    format!("{}{hint}", brief(error))
}
