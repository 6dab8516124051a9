//! What the stubs stand for in one run, and what they saw of it.

use super::{content::Content, server::header};
use hyper::{HeaderMap, http::HeaderName, http::HeaderValue};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What there is in the bucket, and how the stubs behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    /// How many objects.
    pub(super) objects: u64,
    /// The bytes of each.
    pub(super) size: u64,
    /// What every request takes longer.
    pub(super) delay: Duration,
    /// Whether the container computes a CRC64 of what arrives and holds it against the one that is sent, as Azure does.
    pub(super) check: bool,
    /// Whether the container remembers what it has. A function that gets one event many times must not find its own work.
    pub(super) remember: bool,
}

/// The requests that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Of either store.
    List,
    /// An object's or a range's bytes.
    Get,
    /// A HEAD of an object or a blob, or their tags.
    Look,
    /// Put Blob.
    Put,
    /// Put Block.
    Block,
    /// Get Block List, Put Block List.
    Blocks,
    /// Of a container.
    Container,
    /// Sign-in and what else a function asks for.
    Service,
}

const CALLS: usize = Call::Service as usize + 1;

/// How many requests of each kind there were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    calls: [u64; CALLS],
}

impl Seen {
    /// Requests of one kind.
    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize]
    }

    /// Requests about objects and blobs, which grow with their number.
    pub(super) fn about_objects(&self) -> u64 {
        [Call::Get, Call::Look, Call::Put, Call::Block, Call::Blocks].map(|call| self.calls(call)).iter().sum()
    }
}

/// What the container knows of a blob.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    /// Bytes.
    pub(super) size: u64,
    /// As a HEAD of it says them.
    pub(super) headers: HeaderMap,
}

/// All that the stubs share.
pub(super) struct World {
    /// Every object's bytes.
    pub(super) content: Content,
    scene: RwLock<(Scene, u64)>,
    calls: [AtomicU64; CALLS],
    blobs: Mutex<Blobs>,
}

/// What is in the container.
#[derive(Default)]
pub(super) struct Blobs {
    /// By name.
    pub(super) committed: BTreeMap<String, Blob>,
    /// Lengths of blocks by id, by the blob's name.
    pub(super) uncommitted: HashMap<String, HashMap<String, u64>>,
}

impl World {
    /// An empty bucket.
    pub(super) fn new() -> Self {
        let scene = Scene { objects: 0, size: 0, delay: Duration::ZERO, check: false, remember: true };
        Self {
            content: Content::new(),
            scene: RwLock::new((scene, 0)),
            calls: Default::default(),
            blobs: Mutex::default(),
        }
    }

    /// Begins a run: nothing was seen yet, and the container is empty.
    pub(super) fn begin(&self, scene: Scene) {
        let crc64 = self.content.crc64(scene.size);
        *self.scene.write().unwrap_or_else(PoisonError::into_inner) = (scene, crc64);
        for count in &self.calls {
            count.store(0, Ordering::Relaxed);
        }
        *self.blobs() = Blobs::default();
    }

    /// The run's scene.
    pub(super) fn scene(&self) -> Scene {
        self.scene.read().unwrap_or_else(PoisonError::into_inner).0
    }

    /// The checksum of each object of the scene.
    pub(super) fn crc64(&self) -> u64 {
        self.scene.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Counts a request.
    pub(super) fn count(&self, call: Call) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was seen since the run began.
    pub(super) fn seen(&self) -> Seen {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Seen { calls: std::array::from_fn(|at| read(&self.calls[at])) }
    }

    /// What is in the container, for this thread alone.
    pub(super) fn blobs(&self) -> MutexGuard<'_, Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blob {
    /// One that was written with these headers.
    pub(super) fn new(size: u64, request: &HeaderMap) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            let kept = match name.as_str() {
                "x-ms-blob-content-type" => Some(header("content-type")),
                "x-ms-blob-content-md5" => Some(header("content-md5")),
                text if text.starts_with("x-ms-meta-") => Some(name.clone()),
                _ => None,
            };
            if let Some(name) = kept {
                headers.insert(name, value.clone());
            }
        }
        Self { size, headers }
    }

    /// A header of it as text.
    pub(super) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
    }
}
