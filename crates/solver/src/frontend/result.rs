//! A result of ours as a definition: another build of the same call may begin with it.

use std::sync::Arc;

use gantry_build::Built;
use gantry_buildkit::proto::ops::{Definition, Input, Op, OpMetadata, SourceOp};
use gantry_names::Digest;
use prost::Message;

use crate::Inner;
use crate::job::Job;

/// How a definition of ours names an earlier result.
const RESULTS: &str = "gantry-result://";

/// The earlier result that a definition of ours stands for.
pub(super) fn of(inner: &Inner, definition: &Definition) -> Option<Arc<Built>> {
    definition.def.iter().find_map(|bytes| {
        let source = Op::decode(bytes.as_slice()).ok()?.source?;
        let (job, name) = source.identifier.strip_prefix(RESULTS)?.split_once('/')?;
        Some(inner.jobs.get(job)?.result(name)?.built)
    })
}

/// A definition that stands for a result of ours.
pub(crate) fn definition_of(job: &Job, name: &str) -> Definition {
    let source = SourceOp { identifier: format!("{RESULTS}{}/{name}", job.reference), ..SourceOp::default() };
    let op = Op { source: Some(source), ..Op::default() }.encode_to_vec();
    let input = Input { digest: Digest::sha256_of(&op).to_string(), index: 0 };
    let end = Op { inputs: vec![input], ..Op::default() }.encode_to_vec();
    // Clients take a definition without metadata for none at all.
    let metadata = [&op, &end].map(|op| (Digest::sha256_of(op).to_string(), OpMetadata::default())).into();
    Definition { def: vec![op, end], metadata }
}
