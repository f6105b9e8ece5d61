//! `docker` and `oci`: a result as an image's archive, at the client.

use gantry_buildkit::grpc::{Code, Status};
use gantry_buildkit::proto::control::Exporter;
use gantry_images::ArchivePart;
use gantry_names::Digest;

use super::{Response, invalid, names, wire};
use crate::Inner;
use crate::job::{Job, Outcome};

pub(super) async fn export(
    inner: &Inner,
    job: &Job,
    number: usize,
    exporter: &Exporter,
    outcomes: &[Outcome],
) -> Result<Response, Status> {
    if exporter.attrs.get("tar").is_some_and(|value| value == "false") {
        let text = "an image layout is exported as one archive here: leave tar=false out and unpack it";
        return Err(Status::new(Code::Unimplemented, text));
    }
    if exporter.kind == "docker" && outcomes.len() > 1 {
        return Err(invalid("docker exporter does not currently support exporting manifest lists"));
    }
    let label = if exporter.kind == "oci" {
        "exporting to oci image format"
    } else {
        "exporting to docker image format"
    };
    let work = job.work(label);
    let names = names(exporter)?;
    let mut parts = Vec::new();
    for outcome in outcomes {
        parts.push(ArchivePart {
            platform: outcome.built.config.platform(),
            layers: outcome.built.layers.clone(),
            config: outcome.built.document.clone(),
            manifest: None,
            names: names.clone(),
        });
    }
    work.told("exporting layers");
    let mut response = Response::new();
    if let [part] = parts.as_slice() {
        let id = Digest::sha256_of(&part.config);
        let manifest =
            Digest::sha256_of(&part.manifest().map_err(|e| Status::new(Code::Internal, e.to_string()))?);
        work.told(&format!("exporting manifest {manifest}"));
        work.told(&format!("exporting config {id}"));
        response.insert("containerimage.config.digest".into(), id.to_string());
        response.insert("containerimage.digest".into(), manifest.to_string());
    }
    if !names.is_empty() {
        let list: Vec<String> = names.iter().map(ToString::to_string).collect();
        response.insert("image.name".into(), list.join(","));
    }
    let images = inner.builder.images.clone();
    let sent = wire::stream(inner, job, number, &work, "sending tarball", &[], move |out| {
        images.write_archive(&parts, out).map_err(std::io::Error::other)
    })
    .await;
    work.ended(sent.map(|()| response))
}
