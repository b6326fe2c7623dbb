//! A server that speaks Ollama's protocol and OpenAI's, for tests: real HTTP on a free port, whose answers the test chooses.

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
    /// Answers with status 200 and these pieces, each a chunk of its own, and then does that.
    Stream(Vec<Vec<u8>>, Then),
    /// Sends the head and half of the body, and then nothing.
    Stall(String),
    /// Reads the question and never answers.
    Silence,
    /// Closes the connection.
    Close,
    /// Does one after the other, and the last with every question from then on.
    InTurn(Vec<Act>),
}

/// How a stream goes on behind its last piece.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// It ends as it should.
    End,
    /// Nothing comes any more.
    Stall,
    /// The connection is closed.
    Break,
}

impl Act {
    /// Answers as Ollama does when a model has written `content`: word by word.
    pub(crate) fn says(content: &str) -> Self {
        let parts = content.split_inclusive(' ');
        let mut pieces: Vec<_> = parts.map(|part| line(&json!({ "content": part }))).collect();
        pieces.push(last(&json!({ "content": "" }), "stop", 1_226));
        Self::Stream(pieces, Then::End)
    }

    /// Answers as Ollama does when a model has written all of `message` at once.
    pub(crate) fn reply(message: &Value, done_reason: &str) -> Self {
        Self::Stream(vec![last(message, done_reason, 1_226)], Then::End)
    }

    /// Answers with these lines or parts of lines, each a chunk of its own.
    pub(crate) fn pieces<P: AsRef<[u8]>>(pieces: &[P], then: Then) -> Self {
        Self::Stream(pieces.iter().map(|piece| piece.as_ref().to_vec()).collect(), then)
    }

    /// Answers as an OpenAI-compatible server does when a model has written `content`: word by word.
    pub(crate) fn says_openai(content: &str, finish_reason: &str) -> Self {
        let event = |delta: Value, finish_reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
            event(&json!({ "object": "chat.completion.chunk", "model": "qwen2.5-7b", "choices": [choice] }))
        };
        let mut pieces = vec![event(json!({ "role": "assistant", "content": null }), Value::Null)];
        pieces.extend(content.split_inclusive(' ').map(|part| event(json!({ "content": part }), Value::Null)));
        pieces.push(event(json!({}), json!(finish_reason)));
        pieces.push(openai_usage(1_226));
        pieces.push(b"data: [DONE]\n\n".to_vec());
        Self::Stream(pieces, Then::End)
    }
}

/// A line of Ollama's answer.
pub(crate) fn line(message: &Value) -> Vec<u8> {
    let mut message = message.clone();
    message["role"] = json!("assistant");
    let line =
        json!({ "model": "llama3.2:3b", "created_at": "2025-11-21T16:00:03.1Z", "message": message, "done": false });
    format!("{line}\n").into_bytes()
}

/// The last line of Ollama's answer.
pub(crate) fn last(message: &Value, done_reason: &str, prompt_tokens: u64) -> Vec<u8> {
    let mut message = message.clone();
    message["role"] = json!("assistant");
    let line = json!({
        "model": "llama3.2:3b",
        "created_at": "2025-11-21T16:00:03.1Z",
        "message": message,
        "done": true,
        "done_reason": done_reason,
        "total_duration": 4_883_583_458_u64,
        "load_duration": 1_334_875,
        "prompt_eval_count": prompt_tokens,
        "prompt_eval_duration": 342_546_000,
        "eval_count": 182,
        "eval_duration": 4_535_599_000_u64,
    });
    format!("{line}\n").into_bytes()
}

/// An event of an OpenAI-compatible server's answer.
pub(crate) fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// The event that counts the tokens.
pub(crate) fn openai_usage(prompt_tokens: u64) -> Vec<u8> {
    let usage =
        json!({ "prompt_tokens": prompt_tokens, "completion_tokens": 182, "total_tokens": prompt_tokens + 182 });
    event(&json!({ "object": "chat.completion.chunk", "model": "qwen2.5-7b", "choices": [], "usage": usage }))
}

/// A question as it came in.
struct Asked {
    path: String,
    /// The header `Authorization`; empty without one.
    authorization: String,
    body: Value,
}

/// The server. Ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
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
        asked.iter().filter(|asked| asked.path == path).map(|asked| asked.body.clone()).collect()
    }

    /// With which `Authorization` it was asked on that path, in order.
    pub(crate) fn authorized(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.path == path).map(|asked| asked.authorization.clone()).collect()
    }

    /// Settings with this server in them.
    pub(crate) fn config(&self) -> Config {
        Config { model_url: Some(self.url.clone()), ..Config::default() }
    }
}

async fn serve(stream: TcpStream, asked: Arc<Mutex<Vec<Asked>>>, act: Arc<Mutex<Act>>) {
    let mut stream = BufReader::new(stream);
    let question = read(&mut stream).await;
    let path = question.path.clone();
    asked.lock().unwrap().push(question);
    let act = match path.as_str() {
        "/api/chat" | "/v1/chat/completions" => next(&act),
        "/api/tags" => Act::Answer(200, tags().to_string()),
        "/api/version" => Act::Answer(200, json!({ "version": "0.12.6" }).to_string()),
        "/v1/models" => Act::Answer(200, json!({ "object": "list", "data": [{ "id": "qwen2.5-7b" }] }).to_string()),
        _ => Act::Answer(404, "404 page not found".to_owned()),
    };
    // The client may be gone by now: that is its right.
    let _ = match act {
        Act::Answer(status, body) => stream.write_all(head(status, body.len(), &body).as_bytes()).await,
        Act::Stream(pieces, then) => write_chunks(&mut stream, &pieces, then).await,
        Act::Stall(body) => {
            let head = head(200, body.len(), &body[..body.len() / 2]);
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending().await
        }
        Act::Silence => std::future::pending().await,
        Act::Close => Ok(()),
        Act::InTurn(_) => unreachable!("`next` takes one of them"),
    };
}

async fn read(stream: &mut BufReader<TcpStream>) -> Asked {
    let mut request = String::new();
    stream.read_line(&mut request).await.unwrap();
    let (mut length, mut authorization, mut line) = (0, String::new(), String::new());
    while stream.read_line(&mut line).await.unwrap() > 2 {
        let (name, value) = line.split_once(':').unwrap();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    Asked { path, authorization, body: serde_json::from_slice(&body).unwrap_or_default() }
}

/// What is to be done now.
fn next(act: &Mutex<Act>) -> Act {
    match &mut *act.lock().unwrap() {
        Act::InTurn(acts) if acts.len() > 1 => acts.remove(0),
        Act::InTurn(acts) => acts[0].clone(),
        act => act.clone(),
    }
}

async fn write_chunks(stream: &mut BufReader<TcpStream>, pieces: &[Vec<u8>], then: Then) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for piece in pieces {
        stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        stream.write_all(piece).await?;
        stream.write_all(b"\r\n").await?;
    }
    match then {
        Then::End => stream.write_all(b"0\r\n\r\n").await,
        Then::Stall => std::future::pending().await,
        Then::Break => Ok(()),
    }
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
