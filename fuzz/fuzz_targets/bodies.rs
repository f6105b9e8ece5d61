#![no_main]
//! No body of any request makes its reader panic, nor does a filter or a registry's login in a header. The first byte says which;
//! what could be read can be written and read again.

use gantry_api::auth::AuthConfig;
use gantry_api::container::{Config, ContainerUpdate};
use gantry_api::exec::{ExecCreate, ExecStart};
use gantry_api::filters::Filters;
use gantry_api::network::{NetworkConnect, NetworkCreate, NetworkDisconnect, Plumb, PlumbRoute};
use gantry_api::volume::VolumeCreate;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn again<T: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(read) = gantry_api::decode::<T>(body) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    gantry_api::decode::<T>(&written).expect("what was written can be read");
}

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else { return };
    match which % 12 {
        0 => drop(gantry_api::decode::<ContainerUpdate>(body)),
        1 => again::<ExecCreate>(body),
        2 => again::<ExecStart>(body),
        3 => again::<NetworkCreate>(body),
        4 => again::<NetworkConnect>(body),
        5 => again::<NetworkDisconnect>(body),
        6 => again::<Plumb>(body),
        7 => again::<PlumbRoute>(body),
        8 => again::<AuthConfig>(body),
        9 => again::<VolumeCreate>(body),
        10 => again::<Config>(body),
        _ => {
            let Ok(text) = std::str::from_utf8(body) else { return };
            let Ok(filters) = Filters::from_param(text) else { return };
            Filters::from_param(&filters.to_param()).expect("what was written can be read");
        }
    }
});
