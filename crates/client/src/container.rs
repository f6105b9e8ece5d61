//! Containers and exec sessions.

use serde_json::{Value, json};

use crate::body::{Body, ByteStream, JsonStream};
use crate::call::{Answer, Query};
use crate::client::Client;
use crate::error::ClientError;
use crate::hijack::Hijacked;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /containers/json`.
    pub async fn container_list(&self, query: Query) -> Result<Vec<Value>> {
        self.get("/containers/json").query(query).json().await
    }

    /// `POST /containers/create`; the body is the container's configuration.
    pub async fn container_create(&self, query: Query, body: &Value) -> Result<Value> {
        self.post("/containers/create").query(query).json_body(body).json().await
    }

    /// `GET /containers/{id}/json`.
    pub async fn container_inspect(&self, id: &str, size: bool) -> Result<Value> {
        self.get(format!("/containers/{id}/json")).query(Query::new().flag("size", size)).json().await
    }

    /// `POST /containers/{id}/start`.
    pub async fn container_start(&self, id: &str, query: Query) -> Result<()> {
        self.post(format!("/containers/{id}/start")).query(query).done().await
    }

    /// `POST /containers/{id}/stop` (or `restart`): `signal` and `seconds` only when asked for.
    pub async fn container_stop(
        &self,
        id: &str,
        verb: &str,
        signal: &str,
        seconds: Option<i64>,
    ) -> Result<()> {
        let mut query = Query::new().with_some("signal", signal);
        if let Some(seconds) = seconds {
            query = query.with("t", seconds.to_string());
        }
        self.post(format!("/containers/{id}/{verb}")).query(query).done().await
    }

    /// `POST /containers/{id}/kill`.
    pub async fn container_kill(&self, id: &str, signal: &str) -> Result<()> {
        self.post(format!("/containers/{id}/kill"))
            .query(Query::new().with_some("signal", signal))
            .done()
            .await
    }

    /// `POST /containers/{id}/pause` and other verbs without arguments.
    pub async fn container_verb(&self, id: &str, verb: &str) -> Result<()> {
        self.post(format!("/containers/{id}/{verb}")).done().await
    }

    /// `POST /containers/{id}/rename`.
    pub async fn container_rename(&self, id: &str, name: &str) -> Result<()> {
        self.post(format!("/containers/{id}/rename")).with("name", name).done().await
    }

    /// `POST /containers/{id}/update`; answers the warnings.
    pub async fn container_update(&self, id: &str, body: &Value) -> Result<Value> {
        self.post(format!("/containers/{id}/update")).json_body(body).json().await
    }

    /// `DELETE /containers/{id}`.
    pub async fn container_remove(&self, id: &str, query: Query) -> Result<()> {
        self.delete(format!("/containers/{id}")).query(query).done().await
    }

    /// `POST /containers/{id}/wait`: the headers come at once, the exit later. Read it with [`wait_result`].
    pub async fn container_wait(&self, id: &str, condition: &str) -> Result<Answer> {
        self.post(format!("/containers/{id}/wait"))
            .query(Query::new().with_some("condition", condition))
            .send()
            .await
    }

    /// `POST /containers/{id}/attach`.
    pub async fn container_attach(&self, id: &str, query: Query) -> Result<Hijacked> {
        self.post(format!("/containers/{id}/attach"))
            .query(query)
            .header("content-type", "text/plain")
            .hijack()
            .await
    }

    /// `POST /containers/{id}/resize`.
    pub async fn container_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let query = Query::new().with("h", height.to_string()).with("w", width.to_string());
        self.post(format!("/containers/{id}/resize")).query(query).done().await
    }

    /// `GET /containers/{id}/logs`.
    pub async fn container_logs(&self, id: &str, query: Query) -> Result<ByteStream> {
        self.get(format!("/containers/{id}/logs")).query(query).stream().await
    }

    /// `GET /containers/{id}/stats`.
    pub async fn container_stats(&self, id: &str, query: Query) -> Result<JsonStream> {
        self.get(format!("/containers/{id}/stats")).query(query).messages().await
    }

    /// `GET /containers/{id}/top`.
    pub async fn container_top(&self, id: &str, ps_args: &str) -> Result<Value> {
        self.get(format!("/containers/{id}/top"))
            .query(Query::new().with_some("ps_args", ps_args))
            .json()
            .await
    }

    /// `GET /containers/{id}/changes`.
    pub async fn container_changes(&self, id: &str) -> Result<Value> {
        self.get(format!("/containers/{id}/changes")).json().await
    }

    /// `GET /containers/{id}/export`.
    pub async fn container_export(&self, id: &str) -> Result<ByteStream> {
        self.get(format!("/containers/{id}/export")).stream().await
    }

    /// `HEAD /containers/{id}/archive`: what is at `path`, from a header.
    pub async fn container_stat(&self, id: &str, path: &str) -> Result<Value> {
        let answer = self.head(format!("/containers/{id}/archive")).with("path", path).send_raw().await?;
        if answer.status().as_u16() == 404 {
            let message = format!("Could not find the file {path} in container {id}");
            return Err(ClientError::Daemon { status: 404, message });
        }
        if !answer.status().is_success() {
            // A HEAD has no body; the same GET would have the sentence.
            let message = format!("request returned {}", answer.status());
            return Err(ClientError::Daemon { status: answer.status().as_u16(), message });
        }
        path_stat(&answer)
    }

    /// `GET /containers/{id}/archive`: what is at `path` and its tar.
    pub async fn container_archive(&self, id: &str, path: &str) -> Result<(Value, ByteStream)> {
        let answer = self.get(format!("/containers/{id}/archive")).with("path", path).send().await?;
        Ok((path_stat(&answer)?, answer.stream()))
    }

    /// `PUT /containers/{id}/archive`.
    pub async fn container_unpack(&self, id: &str, query: Query, tar: Body) -> Result<()> {
        self.put(format!("/containers/{id}/archive")).query(query).body(tar, "application/x-tar").done().await
    }

    /// `POST /commit`.
    pub async fn container_commit(&self, query: Query, config: &Value) -> Result<Value> {
        self.post("/commit").query(query).json_body(config).json().await
    }

    /// `POST /containers/{id}/exec`; answers the session's id.
    pub async fn exec_create(&self, id: &str, body: &Value) -> Result<String> {
        let answer: Value = self.post(format!("/containers/{id}/exec")).json_body(body).json().await?;
        match answer["Id"].as_str() {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(ClientError::Protocol("exec ID empty".into())),
        }
    }

    /// `POST /exec/{id}/start`, detached.
    pub async fn exec_start(&self, id: &str, tty: bool) -> Result<()> {
        self.post(format!("/exec/{id}/start")).json_body(&json!({"Detach": true, "Tty": tty})).done().await
    }

    /// `POST /exec/{id}/start`, with its streams.
    pub async fn exec_attach(&self, id: &str, body: &Value) -> Result<Hijacked> {
        self.post(format!("/exec/{id}/start")).json_body(body).hijack().await
    }

    /// `GET /exec/{id}/json`.
    pub async fn exec_inspect(&self, id: &str) -> Result<Value> {
        self.get(format!("/exec/{id}/json")).json().await
    }

    /// `POST /exec/{id}/resize`.
    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let query = Query::new().with("h", height.to_string()).with("w", width.to_string());
        self.post(format!("/exec/{id}/resize")).query(query).done().await
    }

    /// Lists, creates and removes checkpoints: `GET|POST|DELETE /containers/{id}/checkpoints`.
    pub async fn checkpoint_list(&self, id: &str, dir: &str) -> Result<Value> {
        self.get(format!("/containers/{id}/checkpoints"))
            .query(Query::new().with_some("dir", dir))
            .value()
            .await
    }
}

fn path_stat(answer: &Answer) -> Result<Value> {
    use base64::Engine as _;
    let missing = || ClientError::Protocol("unable to decode container path stat header".into());
    let header = answer.headers().get("x-docker-container-path-stat").ok_or_else(missing)?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(header.as_bytes()).map_err(|_| missing())?;
    serde_json::from_slice(&bytes).map_err(|_| missing())
}

impl Answer {
    /// The exit code (and the engine's complaint, if any) of a wait.
    pub async fn wait_result(self) -> Result<(i64, Option<String>)> {
        let bytes = self.stream().collect().await?;
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|e| ClientError::Protocol(format!("wait: {e}")))?;
        let complaint = value["Error"]["Message"].as_str().filter(|m| !m.is_empty()).map(str::to_owned);
        Ok((value["StatusCode"].as_i64().unwrap_or(125), complaint))
    }
}
