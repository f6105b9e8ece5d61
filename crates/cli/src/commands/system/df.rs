//! `system df`: what takes the disk.

use gantry_client::Query;
use serde_json::Value;

use crate::command::{COMMAND, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Matches, switch, text};
use crate::format::{Fields, Format, Listing, aligned, ellipsis, short_id};
use crate::parse::{duration, size, time};
use crate::print;
use crate::session::Session;
use crate::work;

static FLAGS: &[Flag] = &[
    text("format", "Format of the output: 'table', 'table TEMPLATE', 'json' or a Go template"),
    switch("verbose", "Everything one by one").short('v'),
];

pub static DF: Command = Command {
    usage: "[OPTIONS]",
    short: "Show what the engine keeps on disk",
    examples: &[("-v", "Every image, container and volume")],
    flags: &[FLAGS],
    work: work!(run),
    ..COMMAND
};

async fn run(s: &Session, m: &Matches) -> Outcome {
    let usage = s.client()?.disk_usage(Query::new()).await?;
    if m.on("verbose") {
        return verbose(&usage, m.text("format"));
    }
    let format = Format::choose(
        m.text("format"),
        "",
        None,
        "table {{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}",
    );
    let row = |kind: &str, total: usize, active: usize, bytes: f64, free: f64, share: bool| {
        let mut reclaimable = size::human(free);
        if share && bytes > 0.0 {
            reclaimable = format!("{reclaimable} ({:.0}%)", (free * 100.0 / bytes).trunc());
        }
        Fields::new("*formatter.diskUsageContext")
            .with("Active", "ACTIVE", active.to_string())
            .with("Reclaimable", "RECLAIMABLE", reclaimable)
            .with("Size", "SIZE", size::human(bytes))
            .with("TotalCount", "TOTAL", total.to_string())
            .with("Type", "TYPE", kind)
    };
    let mut listing = Listing::new(format, &row("", 0, 0, 0.0, 0.0, false))?;
    let list = |key: &str| usage[key].as_array().cloned().unwrap_or_default();
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);

    let images = list("Images");
    let layers = number(&usage["LayersSize"]);
    let in_use: f64 = images
        .iter()
        .filter(|i| i["Containers"].as_i64().unwrap_or(0) != 0)
        .filter(|i| number(&i["Size"]) != -1.0 && number(&i["SharedSize"]) != -1.0)
        .map(|i| number(&i["Size"]) - number(&i["SharedSize"]))
        .sum();
    let active = images.iter().filter(|i| i["Containers"].as_i64().unwrap_or(0) > 0).count();
    listing.add(row("Images", images.len(), active, layers, layers - in_use, true))?;

    let containers = list("Containers");
    let lives = |c: &&Value| ["running", "paused", "restarting"].iter().any(|s| c["State"] == *s);
    let bytes: f64 = containers.iter().map(|c| number(&c["SizeRw"])).sum();
    let free: f64 = containers.iter().filter(|c| !lives(c)).map(|c| number(&c["SizeRw"])).sum();
    listing.add(row(
        "Containers",
        containers.len(),
        containers.iter().filter(lives).count(),
        bytes,
        free,
        true,
    ))?;

    let volumes = list("Volumes");
    let held = |v: &&Value| v["UsageData"]["RefCount"].as_i64().unwrap_or(0) > 0;
    let known = |v: &Value| number(&v["UsageData"]["Size"]).max(0.0);
    let bytes: f64 = volumes.iter().map(known).sum();
    let free: f64 = volumes.iter().filter(|v| !held(v)).map(known).sum();
    listing.add(row(
        "Local Volumes",
        volumes.len(),
        volumes.iter().filter(held).count(),
        bytes,
        free,
        true,
    ))?;

    let cache = list("BuildCache");
    let used = |c: &&Value| c["InUse"] == true;
    let own = |c: &&Value| c["Shared"] != true;
    let bytes: f64 = cache.iter().filter(own).map(|c| number(&c["Size"])).sum();
    let busy: f64 = cache.iter().filter(own).filter(used).map(|c| number(&c["Size"])).sum();
    listing.add(row(
        "Build Cache",
        cache.len(),
        cache.iter().filter(used).count(),
        bytes,
        bytes - busy,
        false,
    ))?;
    print::out(&listing.finish());
    Ok(())
}

fn verbose(usage: &Value, format: &str) -> Outcome {
    match format {
        "" | "table" => {}
        "json" => {
            print::line(&usage.to_string());
            return Ok(());
        }
        _ => {
            print::line(&Listing::json(format, usage)?);
            return Ok(());
        }
    }
    let list = |key: &str| usage[key].as_array().cloned().unwrap_or_default();
    let word = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let number = |v: &Value| v.as_f64().unwrap_or(0.0);
    let human3 = |n: f64| size::human_precise(n, 3);
    print::out("Images space usage:\n\n");
    let mut text =
        String::from("REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n");
    for image in list("Images") {
        let tag = image["RepoTags"][0].as_str().unwrap_or("<none>:<none>").to_owned();
        let (repository, tag) = tag.rsplit_once(':').unwrap_or(("<none>", "<none>"));
        let (total, shared) = (number(&image["Size"]), number(&image["SharedSize"]));
        text.push_str(&format!(
            "{repository}\t{tag}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            short_id(&word(&image, "Id")),
            time::ago(image["Created"].as_i64().unwrap_or(0)),
            human3(total),
            size::human(shared),
            size::human(total - shared),
            image["Containers"].as_i64().unwrap_or(0),
        ));
    }
    print::out(&aligned(&text, 10, 3));
    print::out("\nContainers space usage:\n\n");
    let mut text =
        String::from("CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES\n");
    for c in list("Containers") {
        let volumes = c["Mounts"].as_array().into_iter().flatten().filter(|m| m["Driver"] == "local").count();
        let name = c["Names"][0].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        text.push_str(&format!(
            "{}\t{}\t\"{}\"\t{volumes}\t{}\t{}\t{}\t{name}\n",
            short_id(&word(&c, "Id")),
            word(&c, "Image"),
            ellipsis(&word(&c, "Command"), 20),
            human3(number(&c["SizeRw"])),
            time::ago(c["Created"].as_i64().unwrap_or(0)),
            word(&c, "Status"),
        ));
    }
    print::out(&aligned(&text, 10, 3));
    print::out("\nLocal Volumes space usage:\n\n");
    let mut text = String::from("VOLUME NAME\tLINKS\tSIZE\n");
    for v in list("Volumes") {
        let links = v["UsageData"]["RefCount"].as_i64().unwrap_or(0);
        text.push_str(&format!(
            "{}\t{links}\t{}\n",
            word(&v, "Name"),
            size::human(number(&v["UsageData"]["Size"]))
        ));
    }
    print::out(&aligned(&text, 10, 3));
    let cache = list("BuildCache");
    let total: f64 = cache.iter().filter(|c| c["Shared"] != true).map(|c| number(&c["Size"])).sum();
    print::out(&format!("\nBuild cache usage: {}\n\n", size::human(total)));
    let mut text = String::from("CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n");
    for c in cache {
        let passed = |key: &str| match c[key].as_str() {
            Some(at) => {
                let passed = jiff::Timestamp::now().as_second() - time::seconds_of(at);
                format!("{} ago", duration::human(passed))
            }
            None => String::new(),
        };
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            short_id(&word(&c, "ID")),
            word(&c, "Type"),
            size::human(number(&c["Size"])),
            passed("CreatedAt"),
            passed("LastUsedAt"),
            c["UsageCount"].as_i64().unwrap_or(0),
            c["Shared"].as_bool().unwrap_or(false),
        ));
    }
    print::out(&aligned(&text, 10, 3));
    Ok::<(), Failure>(())
}
