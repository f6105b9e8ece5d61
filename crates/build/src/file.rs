//! The Dockerfile of a request, read.

use std::collections::BTreeSet;

use gantry_dockerfile::{Dockerfile, Instruction, ParseError};
use gantry_names::{Platform, Reference};

use crate::failure::{BuildError, Cause};
use crate::plan::{self, Plan};
use crate::request::BuildRequest;
use crate::scope::Globals;

/// The file, its global variables, and which of its stages are needed.
pub(crate) fn read(request: &BuildRequest) -> Result<(Dockerfile, Globals, Plan), BuildError> {
    let syntax = |error: ParseError| BuildError {
        file: request.dockerfile_name.clone(),
        step: 0,
        span: error.span,
        instruction: String::new(),
        cause: Box::new(Cause::Syntax(error)),
    };
    let file = gantry_dockerfile::parse(&request.dockerfile).map_err(syntax)?;
    let host = Platform::host();
    let platform = request.platform.clone().unwrap_or_else(|| host.clone());
    let target = request.target.as_deref().filter(|target| !target.is_empty()).unwrap_or("default");
    let mut globals = Globals::new(&request.args, &host, &platform, target);
    for located in &file.global_args {
        let Instruction::Arg(args) = &located.instruction else { continue };
        for (name, default) in args {
            globals
                .declare(name, default.as_deref(), file.directives.escape)
                .map_err(|message| syntax(ParseError { span: located.span, message }))?;
        }
    }
    let contexts: BTreeSet<String> = request.contexts.keys().cloned().collect();
    let plan = plan::plan(&file, &globals, &contexts, request.target.as_deref()).map_err(syntax)?;
    Ok((file, globals, plan))
}

/// Whether a frontend's image is Docker's own, which ours stands for.
pub fn is_own_frontend(image: &str) -> bool {
    Reference::parse(image).is_ok_and(|reference| {
        ["docker/dockerfile", "docker/dockerfile-upstream"].contains(&reference.familiar_name().as_str())
    })
}
