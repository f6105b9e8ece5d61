//! The one table from failure classes to HTTP statuses.

use gantry_errdefs::Class;
use http::StatusCode;

/// The status Docker answers for a failure of this class.
pub(crate) fn status_of(class: Class) -> StatusCode {
    match class {
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::Conflict => StatusCode::CONFLICT,
        Class::InvalidArgument => StatusCode::BAD_REQUEST,
        Class::NotModified => StatusCode::NOT_MODIFIED,
        Class::Unauthorized => StatusCode::UNAUTHORIZED,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Class::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
