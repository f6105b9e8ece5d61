//! Images, builds and registries.

use serde_json::Value;

use crate::body::{Body, ByteStream, JsonStream};
use crate::call::Query;
use crate::client::Client;
use crate::error::ClientError;
use crate::hijack::Hijacked;

type Result<T> = std::result::Result<T, ClientError>;

impl Client {
    /// `GET /images/json`.
    pub async fn image_list(&self, query: Query) -> Result<Vec<Value>> {
        self.get("/images/json").query(query).json().await
    }

    /// `GET /images/{name}/json`.
    pub async fn image_inspect(&self, name: &str, query: Query) -> Result<Value> {
        self.get(format!("/images/{name}/json")).query(query).json().await
    }

    /// `GET /images/{name}/history`.
    pub async fn image_history(&self, name: &str, query: Query) -> Result<Vec<Value>> {
        self.get(format!("/images/{name}/history")).query(query).json().await
    }

    /// `POST /images/create`: pull (`fromImage`, `tag`) or import (`fromSrc`). `auth` is `X-Registry-Auth`.
    pub async fn image_create(
        &self,
        query: Query,
        auth: Option<String>,
        body: Option<Body>,
    ) -> Result<JsonStream> {
        let mut call = self.post("/images/create").query(query);
        if let Some(auth) = auth {
            call = call.header("x-registry-auth", auth);
        }
        if let Some(body) = body {
            call = call.body(body, "application/x-tar");
        }
        call.messages().await
    }

    /// `POST /images/{name}/push`.
    pub async fn image_push(&self, name: &str, query: Query, auth: String) -> Result<JsonStream> {
        self.post(format!("/images/{name}/push"))
            .query(query)
            .header("x-registry-auth", auth)
            .messages()
            .await
    }

    /// `POST /images/{name}/tag`.
    pub async fn image_tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let query = Query::new().with("repo", repo).with_some("tag", tag);
        self.post(format!("/images/{name}/tag")).query(query).done().await
    }

    /// `DELETE /images/{name}`.
    pub async fn image_remove(&self, name: &str, query: Query) -> Result<Vec<Value>> {
        self.delete(format!("/images/{name}")).query(query).json().await
    }

    /// `GET /images/get`.
    pub async fn image_save(&self, query: Query) -> Result<ByteStream> {
        self.get("/images/get").query(query).stream().await
    }

    /// `POST /images/load`.
    pub async fn image_load(&self, query: Query, tar: Body) -> Result<ByteStream> {
        self.post("/images/load").query(query).body(tar, "application/x-tar").stream().await
    }

    /// `GET /images/search`.
    pub async fn image_search(&self, query: Query, auth: Option<String>) -> Result<Vec<Value>> {
        let mut call = self.get("/images/search").query(query);
        if let Some(auth) = auth {
            call = call.header("x-registry-auth", auth);
        }
        call.json().await
    }

    /// `POST /build`: the context as a tar; `configs` is `X-Registry-Config`.
    pub async fn build(&self, query: Query, configs: String, context: Body) -> Result<JsonStream> {
        self.post("/build")
            .query(query)
            .header("x-registry-config", configs)
            .body(context, "application/x-tar")
            .messages()
            .await
    }

    /// `POST /session`: what we serve to builds. `headers` name the session and its methods.
    pub async fn build_session(&self, headers: Vec<(&'static str, String)>) -> Result<Hijacked> {
        let call =
            headers.into_iter().fold(self.post("/session"), |call, (name, value)| call.header(name, value));
        call.take_over("h2c").await
    }

    /// `POST /grpc`: BuildKit's own services.
    pub async fn buildkit(&self) -> Result<Hijacked> {
        self.post("/grpc").take_over("h2c").await
    }

    /// `POST /{noun}/prune`: `containers`, `images`, `volumes`, `networks` or `build`.
    pub async fn prune(&self, noun: &str, query: Query) -> Result<Value> {
        self.post(format!("/{noun}/prune")).query(query).json().await
    }

    /// `POST /auth`.
    pub async fn login(&self, auth: &Value) -> Result<Value> {
        self.post("/auth").json_body(auth).value().await
    }

    /// `GET /distribution/{name}/json`.
    pub async fn distribution_inspect(&self, name: &str, auth: Option<String>) -> Result<Value> {
        let mut call = self.get(format!("/distribution/{name}/json"));
        if let Some(auth) = auth {
            call = call.header("x-registry-auth", auth);
        }
        call.json().await
    }
}
