//! A server that speaks Ollama's protocol, for tests: real HTTP on a free port, whose answers the test chooses.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Config;

/// Does for the tests what `chassis::main` does for the process: HTTP clients need it, even without TLS.
pub(crate) fn install_crypto() {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What the server does with a question.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with a status and a body.
    Answer(u16, String),
    /// Sends the head and half of the body, and then nothing.
    Stall(String),
    /// Reads the question and never answers.
    Silence,
    /// Closes the connection.
    Close,
}

impl Act {
    /// Answers as Ollama does when a model has written `content`.
    pub(crate) fn says(content: &str) -> Self {
        Self::reply(&json!({ "content": content }), "stop")
    }

    pub(crate) fn reply(message: &Value, done_reason: &str) -> Self {
        let mut reply = json!({
            "model": "llama3.2:3b",
            "created_at": "2025-11-21T16:00:03.1Z",
            "message": { "role": "assistant" },
            "done": true,
            "done_reason": done_reason,
            "total_duration": 4_883_583_458_u64,
            "load_duration": 1_334_875,
            "prompt_eval_count": 1_226,
            "prompt_eval_duration": 342_546_000,
            "eval_count": 182,
            "eval_duration": 4_535_599_000_u64,
        });
        for (key, value) in message.as_object().unwrap() {
            reply["message"][key] = value.clone();
        }
        Self::Answer(200, reply.to_string())
    }
}

/// The server. Ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    act: Arc<Mutex<Act>>,
}

impl Server {
    /// A server that does `act` with every question to a model.
    pub(crate) async fn start(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, asked: Arc::default(), act: Arc::new(Mutex::new(act)) };
        let (asked, act) = (Arc::clone(&server.asked), Arc::clone(&server.act));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&asked), Arc::clone(&act)));
            }
        });
        server
    }

    /// From now on does something else.
    pub(crate) fn set(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    /// What it was asked on that path, in order.
    pub(crate) fn asked(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(on, _)| on == path).map(|(_, body)| body.clone()).collect()
    }

    /// Settings with this server in them.
    pub(crate) fn config(&self) -> Config {
        Config { ollama_url: Some(self.url.clone()), ..Config::default() }
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<(String, Value)>>>, act: Arc<Mutex<Act>>) {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request).await.unwrap();
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).await.unwrap() > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push((path.clone(), serde_json::from_slice(&body).unwrap_or_default()));
    let act = match path.as_str() {
        "/api/chat" => act.lock().unwrap().clone(),
        "/api/tags" => Act::Answer(200, tags().to_string()),
        _ => Act::Answer(404, "404 page not found".to_owned()),
    };
    // The client may be gone by now: that is its right.
    let _ = match act {
        Act::Answer(status, body) => stream.write_all(head(status, body.len(), &body).as_bytes()).await,
        Act::Stall(body) => {
            let head = head(200, body.len(), &body[..body.len() / 2]);
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending().await
        }
        Act::Silence => std::future::pending().await,
        Act::Close => Ok(()),
    };
}

fn head(status: u16, length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn tags() -> Value {
    json!({ "models": [
        { "name": "mistral:latest", "model": "mistral:latest", "digest": "f974a74358d6" },
        { "name": "llama3.2:3b", "model": "llama3.2:3b", "size": 2_019_393_189, "digest": "a80c4f17acd5" },
    ] })
}
