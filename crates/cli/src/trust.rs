//! Content trust, Notary's signatures of names: not there, so whoever asks for it is told, never believed to have it.

use crate::failure::{Failure, Outcome};
use crate::flags::Matches;
use crate::parse::numbers;

/// The flag of the commands that would ask a notary; on by default, as in Docker's client.
pub const FLAG: &str = "disable-content-trust";

/// The variable that changes the flag's default.
const VARIABLE: &str = "DOCKER_CONTENT_TRUST";

/// Refuses a command that is to run only what was signed.
pub fn check(matches: &Matches) -> Outcome {
    let asked = match matches.changed(FLAG) {
        true => !matches.on(FLAG),
        false => std::env::var(VARIABLE).is_ok_and(|text| numbers::boolean(&text).unwrap_or(false)),
    };
    match asked {
        false => Ok(()),
        true => Err(Failure::text(
            1,
            format!(
                "signatures of a notary are not checked by this client: unset {VARIABLE} or give --{FLAG}, and name \
                 images by digest (NAME@sha256:...) where their content must be held to"
            ),
        )),
    }
}
