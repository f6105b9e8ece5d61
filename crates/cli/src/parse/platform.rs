//! `--platform os/arch/variant`, in the form the API's queries want.

use gantry_names::Platform;
use serde_json::json;

/// `linux/arm64/v8` as the JSON of a query (`{"os":...,"architecture":...}`).
pub fn to_json(text: &str) -> Result<String, String> {
    let platform = Platform::parse(text).map_err(|e| e.to_string())?;
    let mut out = json!({"os": platform.os, "architecture": platform.architecture});
    if let Some(variant) = platform.variant.filter(|v| !v.is_empty()) {
        out["variant"] = json!(variant);
    }
    Ok(out.to_string())
}
