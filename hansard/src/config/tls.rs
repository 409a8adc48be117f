//! TLS towards jobs: which files, and whether jobs show certificates of their own.

use hansard_ingest_proxy::{ClientCertificates, TlsOptions};

use super::ConfigError;
use super::raw;
use super::validate::Place;

pub(super) fn of_target(place: &Place<'_>, key: &str, raw: raw::TargetTls) -> Result<TlsOptions, ConfigError> {
    let file = |name: &str, value| place.required(&format!("{key}.{name}"), value).map(|file| place.path(&file));
    let client_ca_file = raw.client_ca_file.map(|name| file("client_ca_file", Some(name))).transpose()?;
    let client_certificates = match (raw.client_certificates.as_deref(), &client_ca_file) {
        (None | Some("none"), None) => ClientCertificates::None,
        (Some("none"), Some(_)) => {
            let key = format!("{key}.client_certificates");
            return Err(place.wrong(&key, "\"none\" asks for none, and client_ca_file is given; drop one of them"));
        }
        (Some("optional" | "required"), None) => {
            let key = format!("{key}.client_ca_file");
            return Err(place.wrong(&key, "is missing: it says whose certificates are good"));
        }
        (Some("optional"), Some(_)) => ClientCertificates::Optional,
        (None | Some("required"), Some(_)) => ClientCertificates::Required,
        (Some(other), _) => {
            return Err(place.word(&format!("{key}.client_certificates"), other, &["none", "optional", "required"]));
        }
    };
    Ok(TlsOptions {
        cert_file: file("cert_file", raw.cert_file)?,
        key_file: file("key_file", raw.key_file)?,
        client_ca_file,
        client_certificates,
    })
}
