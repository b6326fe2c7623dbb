//! A model's server behind TLS, whose certificate is of an authority of its own.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority: its certificate, in PEM, and what it signs for `localhost`.
fn authority() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    (pem, config.unwrap())
}

/// Ends TLS in front of `server`, and gives the address there.
async fn in_front_of(server: &Server, config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), server.url.replace("http://", ""));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // A client that does not believe the certificate breaks off.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_server_with_an_authority_of_its_own_is_believed_by_the_setting_alone() {
    install_crypto();
    let folder = TempDir::new().unwrap();
    let server = Server::start(Act::says("{}")).await;
    let ((own, config), (foreign, _)) = (authority(), authority());
    let address = in_front_of(&server, config).await;
    let asked_with = async |pem: Option<&str>| {
        let path = folder.path().join("ca.pem");
        pem.iter().for_each(|pem| std::fs::write(&path, pem).unwrap());
        let ca_path = pem.map(|_| path.clone());
        let config = Config { model_url: Some(address.clone()), ca_path, ..Config::default() };
        let model = ollama(&config);
        (ask(&model).await, ollama(&config).introduction().await)
    };
    let (answer, introduced) = asked_with(Some(&own)).await;
    assert_eq!(answer.unwrap().content, "{}");
    assert!(introduced.unwrap().contains("on Ollama 0.12.6"));
    assert_eq!(server.asked("/api/chat").len(), 1);
    for (case, pem) in [("no authority", None), ("another authority", Some(foreign.as_str()))] {
        let (answer, introduced) = asked_with(pem).await;
        let Err(Unanswered::Untrusted { at, .. }) = &answer else { panic!("{case}: {answer:?}") };
        assert!(at.starts_with("localhost:"), "{case}: {at}");
        let told = introduced.unwrap_err();
        assert!(told.contains("is not believed") && told.contains("llm_explainer.ca_path"), "{case}: {told}");
    }
    assert_eq!(server.asked("/api/chat").len(), 1, "nothing is asked of a server that is not believed");
}
