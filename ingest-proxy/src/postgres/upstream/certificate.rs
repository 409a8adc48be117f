//! What binds a SCRAM exchange to the server's certificate: its hash, `tls-server-end-point`.
//!
//! Source: RFC 5929, section 4.1: the hash function is the one of the certificate's signature, and SHA-256 in the place
//! of MD5 and SHA-1.

use der::asn1::{AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier};
use der::{Decode, Reader, TagNumber};
use ring::digest;
use spki::AlgorithmIdentifierRef;

/// `None` when the signature has no hash function of its own, as with Ed25519.
pub(in crate::postgres) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of(certificate).ok().flatten()?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280).
fn hash_of(certificate: &[u8]) -> der::Result<Option<&'static digest::Algorithm>> {
    AnyRef::from_der(certificate)?.sequence(|reader| {
        reader.decode::<AnyRef<'_>>()?;
        let algorithm = reader.decode::<AlgorithmIdentifierRef<'_>>()?;
        reader.decode::<BitStringRef<'_>>()?;
        if algorithm.oid != RSA_PSS {
            return Ok(by_signature(algorithm.oid));
        }
        // RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] DEFAULT sha1, … } (RFC 4055).
        let parameters = algorithm.parameters.ok_or(der::ErrorKind::Failed)?;
        parameters.sequence(|reader| {
            let hash = ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode_explicit(reader, TagNumber::N0)?;
            while !reader.is_finished() {
                reader.decode::<AnyRef<'_>>()?;
            }
            Ok(hash.map_or(Some(&digest::SHA256), |hash| by_hash(hash.value.oid)))
        })
    })
}

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

fn by_signature(oid: ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    // RSA with MD5, SHA-1, 256, 384, 512; ECDSA with SHA-1, 256, 384, 512.
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => Some(&digest::SHA256),
        "1.2.840.113549.1.1.12" => Some(&digest::SHA384),
        "1.2.840.113549.1.1.13" => Some(&digest::SHA512),
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => Some(&digest::SHA256),
        "1.2.840.10045.4.3.3" => Some(&digest::SHA384),
        "1.2.840.10045.4.3.4" => Some(&digest::SHA512),
        _ => None,
    }
}

fn by_hash(oid: ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    // SHA-1, 256, 384, 512.
    match oid.to_string().as_str() {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => Some(&digest::SHA256),
        "2.16.840.1.101.3.4.2.2" => Some(&digest::SHA384),
        "2.16.840.1.101.3.4.2.3" => Some(&digest::SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_the_signature() {
        let certificate = |algorithm: &'static rcgen::SignatureAlgorithm| {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let parameters = rcgen::CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
            parameters.self_signed(&key).unwrap().der().to_vec()
        };
        let sha256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&sha256).unwrap(), digest::digest(&digest::SHA256, &sha256).as_ref());
        let sha384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&sha384).unwrap(), digest::digest(&digest::SHA384, &sha384).as_ref());
        assert_eq!(end_point(&certificate(&rcgen::PKCS_ED25519)), None);
        for cut in 0..sha256.len() {
            assert_eq!(end_point(&sha256[..cut]), None);
            let mut bent = sha256.clone();
            bent[cut] ^= 0x55;
            // Whatever comes of it, it is an answer.
            end_point(&bent);
        }
    }

    #[test]
    fn with_rsa_pss_the_hash_is_in_its_parameters() {
        // Made with `openssl req -x509 -sha… -sigopt rsa_padding_mode:pss`; SHA-1 is the default, which is left out.
        let certificates: [(&[u8], _); 4] = [
            (include_bytes!("certificate/rsa-pss-sha1.der"), &digest::SHA256),
            (include_bytes!("certificate/rsa-pss-sha256.der"), &digest::SHA256),
            (include_bytes!("certificate/rsa-pss-sha384.der"), &digest::SHA384),
            (include_bytes!("certificate/rsa-pss-sha512.der"), &digest::SHA512),
        ];
        for (certificate, hash) in certificates {
            assert_eq!(end_point(certificate).unwrap(), digest::digest(hash, certificate).as_ref());
        }
    }
}
