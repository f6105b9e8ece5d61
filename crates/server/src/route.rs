//! The table of routes: method, path pattern, handler.
//!
//! Docker's patterns have a variable in the middle that takes slashes (`/images/{name}/json` with
//! `library/ubuntu`), so a pattern is what stands before the variable and what stands behind it. The first route
//! that matches wins, as in Docker's router.

use crate::call::Call;
use crate::reply::Answer;
use http::Method;
use std::future::Future;
use std::pin::Pin;

/// A handler's future.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What answers a route.
pub(crate) type Handler = fn(Call) -> Answering;

/// One endpoint. `{}` in the path stands for any text, slashes included.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: Handler,
}

/// Writes a table of routes: `GET "/containers/{}/json" => inspect,`.
macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)*) => {
        pub(crate) const ROUTES: &[$crate::route::Route] = &[$(
            $crate::route::Route {
                method: http::Method::$method,
                path: $path,
                handler: |call| Box::pin($handler(call)),
            },
        )*];
    };
}
pub(crate) use routes;

/// The variable's text if the path matches the pattern; `""` for a pattern without one.
pub(crate) fn matched<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.split_once("{}") {
        None => (pattern == path).then_some(""),
        Some((before, behind)) => {
            path.strip_prefix(before)?.strip_suffix(behind).filter(|name| !name.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_slashes_but_are_never_empty() {
        assert_eq!(matched("/images/{}/json", "/images/library/ubuntu/json"), Some("library/ubuntu"));
        assert_eq!(matched("/images/{}/json", "/images/json"), None);
        assert_eq!(matched("/images/json", "/images/json"), Some(""));
        assert_eq!(matched("/containers/{}", "/containers/"), None);
        assert_eq!(matched("/images/{}", "/images/a:b@sha256:c"), Some("a:b@sha256:c"));
    }
}
