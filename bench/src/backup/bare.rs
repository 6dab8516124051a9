//! The least that a copy can be: connections, GETs whose bodies are PUTs, and nothing else. How far a tool is from it is its own.
//!
//! Who reads an answer drives its connection, and a PUT's has a task, as in our backup: it is the way that takes the least CPU.

use super::{
    blob::{CONTAINER, SAS},
    content::Content,
    s3::{BUCKET, key},
};
use crate::tls;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::{CrcAlgorithm::Crc64Nvme, Digest, checksum_combine};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use std::{
    future::poll_fn,
    path::PathBuf,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What a block has, and the most that is one PUT.
const BLOCK: u64 = 8 << 20;
/// Records of TLS, which is how a copy sees an object's bytes.
const RECORD: u64 = 16 << 10;

/// What runs as a process of its own.
#[derive(clap::Args, Clone)]
pub(crate) struct Arguments {
    #[arg(value_enum)]
    mode: Mode,
    /// S3
    #[arg(long, default_value = "")]
    source: String,
    /// The account
    #[arg(long, default_value = "")]
    target: String,
    /// Who signed their certificates, a PEM file
    #[arg(long, default_value = "")]
    authority: PathBuf,
    /// How many objects
    #[arg(long)]
    objects: u64,
    /// The bytes of each
    #[arg(long)]
    size: u64,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 16)]
    parallel: u64,
}

/// What is done with each piece of an object.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Mode {
    /// Read it.
    Get,
    /// Write it, from memory.
    Put,
    /// Read and write it.
    Copy,
    /// Read and write it, with its CRC64.
    CheckedCopy,
    /// Compute the CRC64 of the bytes, read and write nothing.
    Checksum,
}

type Sent = UnsyncBoxBody<Bytes, hyper::Error>;

/// A connection that whoever reads from it drives; None once it has ended.
type Driven = Arc<Mutex<Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>>>;

fn drive(driven: &Driven, context: &mut Context<'_>) {
    let mut driven = driven.lock().unwrap_or_else(PoisonError::into_inner);
    if driven.as_mut().is_some_and(|driven| driven.as_mut().poll(context).is_ready()) {
        *driven = None;
    }
}

/// The body of an answer, with its connection.
struct Read(Incoming, Driven);

impl Body for Read {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        drive(&self.1, context);
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Does it.
///
/// # Errors
/// A request failed.
pub(crate) async fn main(arguments: &Arguments) -> Result<(), String> {
    if arguments.mode == Mode::Checksum {
        return checksum(arguments).await;
    }
    let connector = tls::connector(&arguments.authority)?;
    let next = Arc::new(AtomicU64::new(0));
    let content = Content::new();
    let mut workers = JoinSet::new();
    for _ in 0..arguments.parallel {
        workers.spawn(work(arguments.clone(), connector.clone(), next.clone(), content.clone()));
    }
    while let Some(done) = workers.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    if arguments.size > BLOCK && arguments.mode != Mode::Get {
        commit(arguments, &connector).await?;
    }
    Ok(())
}

async fn work(
    arguments: Arguments,
    connector: TlsConnector,
    next: Arc<AtomicU64>,
    content: Content,
) -> Result<(), String> {
    let Arguments { mode, objects, size, .. } = arguments;
    let blocks = size.div_ceil(BLOCK).max(1);
    let mut source = match mode {
        Mode::Put => None,
        _ => {
            let (sender, connection) = connect::<Empty<Bytes>>(&connector, &arguments.source).await?;
            let driven: Driven = Arc::new(Mutex::new(Some(Box::pin(connection))));
            Some((sender, driven))
        }
    };
    let mut target = match mode {
        Mode::Get => None,
        _ => Some(spawned(connect::<Sent>(&connector, &arguments.target).await?)),
    };
    loop {
        let job = next.fetch_add(1, Ordering::Relaxed);
        let (object, block) = (job / blocks, job % blocks);
        if object >= objects {
            return Ok(());
        }
        let (begin, end) = (block * BLOCK, (block * BLOCK + BLOCK).min(size));
        let body = match &mut source {
            None => content.range(begin, end).map_err(|never| match never {}).boxed_unsync(),
            Some(source) => {
                let mut get = Request::get(format!("/{BUCKET}/{}", key(object))).header("host", "bucket");
                if blocks > 1 {
                    get = get.header("range", format!("bytes={begin}-{}", end - 1));
                }
                let (source, driven) = source;
                let mut asked = pin!(answer(source, get, Empty::new()));
                let body = poll_fn(|context| {
                    drive(driven, context);
                    asked.as_mut().poll(context)
                });
                let body = Read(body.await?, driven.clone());
                match mode {
                    Mode::CheckedCopy => summed(body).boxed_unsync(),
                    _ => body.boxed_unsync(),
                }
            }
        };
        let Some(target) = &mut target else {
            discard(body).await?;
            continue;
        };
        let block = if blocks > 1 { format!("comp=block&blockid={}&", id(block)) } else { String::new() };
        let put = Request::put(format!("/{CONTAINER}/{}?{block}{SAS}", key(object)))
            .header("host", "account")
            .header("x-ms-version", "2023-11-03")
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-length", end - begin);
        discard(answer(target, put, body).await?).await?;
    }
}

async fn commit(arguments: &Arguments, connector: &TlsConnector) -> Result<(), String> {
    let list: String =
        (0..arguments.size.div_ceil(BLOCK)).map(|block| format!("<Latest>{}</Latest>", id(block))).collect();
    let list = format!("<BlockList>{list}</BlockList>");
    let mut target = spawned(connect::<Full<Bytes>>(connector, &arguments.target).await?);
    for object in 0..arguments.objects {
        let put = Request::put(format!("/{CONTAINER}/{}?comp=blocklist&{SAS}", key(object))).header("host", "account");
        discard(answer(&mut target, put, Full::from(list.clone())).await?).await?;
    }
    Ok(())
}

async fn checksum(arguments: &Arguments) -> Result<(), String> {
    let content = Content::new();
    for _ in 0..arguments.objects {
        let mut all = 0;
        for begin in (0..arguments.size).step_by(BLOCK as usize) {
            let end = (begin + BLOCK).min(arguments.size);
            let mut digest = Digest::new(Crc64Nvme);
            let mut block = content.range(begin, end);
            while let Some(piece) = block.frame().await {
                let piece = piece.unwrap_or_else(|never| match never {}).into_data().unwrap_or_default();
                piece.chunks(RECORD as usize).for_each(|record| digest.update(record));
            }
            all = checksum_combine(Crc64Nvme, all, digest.finalize(), end - begin);
        }
        if all != content.crc64(arguments.size) {
            return Err("the checksum is wrong".to_owned());
        }
    }
    Ok(())
}

/// Base64 needs no encoding in a query at this length.
fn id(block: u64) -> String {
    STANDARD.encode(format!("{block:012}"))
}

fn summed(body: Read) -> impl Body<Data = Bytes, Error = hyper::Error> {
    let mut digest = Some(Digest::new(Crc64Nvme));
    let mut left = body.size_hint().exact().unwrap_or_default();
    body.map_frame(move |frame| {
        if let Some((data, digest)) = frame.data_ref().zip(digest.as_mut()) {
            digest.update(data);
            left -= data.len() as u64;
        }
        if left == 0 {
            // So that it is computed at all.
            std::hint::black_box(digest.take().map(|digest| digest.finalize()));
        }
        frame
    })
}

type Connection<B> = http1::Connection<TokioIo<TlsStream<TcpStream>>, B>;

async fn connect<B>(connector: &TlsConnector, address: &str) -> Result<(SendRequest<B>, Connection<B>), String>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let failed = |error: &dyn std::fmt::Display| format!("connecting to {address}: {error}");
    let host = address.trim_start_matches("https://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(host).await.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let name = "localhost".try_into().expect("it is a name");
    let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
    http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))
}

fn spawned<B>((sender, connection): (SendRequest<B>, Connection<B>)) -> SendRequest<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    // Whoever waits for an answer hears of the failure.
    tokio::spawn(async move { _ = connection.await });
    sender
}

async fn answer<B>(
    sender: &mut SendRequest<B>,
    request: hyper::http::request::Builder,
    body: B,
) -> Result<Incoming, String>
where
    B: Body<Data = Bytes> + Send + 'static,
{
    let request = request.body(body).map_err(|error| error.to_string())?;
    sender.ready().await.map_err(|error| error.to_string())?;
    let answer: Response<Incoming> = sender.send_request(request).await.map_err(|error| error.to_string())?;
    match answer.status().is_success() {
        true => Ok(answer.into_body()),
        false => Err(format!("answered {}", answer.status())),
    }
}

async fn discard<B: Body + Unpin>(mut body: B) -> Result<(), String>
where
    B::Error: std::fmt::Display,
{
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| error.to_string())?;
    }
    Ok(())
}
