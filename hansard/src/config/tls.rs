//! TLS towards jobs: which files, and whether jobs show certificates of their own.

use hansard_ingest_proxy::{ClientCertificates, TlsOptions};

use super::raw;
use super::validate::Place;

/// None where something is wrong with it, which is complained about.
pub(super) fn of_target(place: &Place<'_>, key: &str, raw: raw::TargetTls) -> Option<TlsOptions> {
    let file = |name: &str, value| {
        let file = place.required(&format!("{key}.{name}"), value);
        (!file.is_empty()).then(|| place.path(&file))
    };
    let has_authorities = raw.client_ca_file.is_some();
    let client_ca_file = raw.client_ca_file.and_then(|name| file("client_ca_file", Some(name)));
    let client_certificates = match (raw.client_certificates.as_deref(), has_authorities) {
        (None | Some("none"), false) => ClientCertificates::None,
        (Some("none"), true) => {
            let key = format!("{key}.client_certificates");
            place.fault(place.wrong(&key, "\"none\" asks for none, and client_ca_file is given; drop one of them"));
            ClientCertificates::None
        }
        (Some("optional" | "required"), false) => {
            let key = format!("{key}.client_ca_file");
            place.fault(place.wrong(&key, "is missing: it says whose certificates are good"));
            ClientCertificates::None
        }
        (Some("optional"), true) => ClientCertificates::Optional,
        (None | Some("required"), true) => ClientCertificates::Required,
        (Some(other), _) => {
            let key = format!("{key}.client_certificates");
            place.fault(place.word(&key, other, &["none", "optional", "required"]));
            ClientCertificates::None
        }
    };
    let (cert_file, key_file) = (file("cert_file", raw.cert_file), file("key_file", raw.key_file));
    Some(TlsOptions { cert_file: cert_file?, key_file: key_file?, client_ca_file, client_certificates })
}
