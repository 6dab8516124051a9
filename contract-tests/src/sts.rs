//! A stand-in for AWS STS, the one service that the CLI calls at a fixed `https` address.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sandbox::process::{self, Process};
use sandbox::tools;

use crate::Error;

/// moto's proxy on loopback: whatever goes through it to `*.amazonaws.com` is answered by moto.
pub(crate) struct Sts {
    _proxy: Process,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// The certificate to trust, a file in PEM.
    pub(crate) authority: PathBuf,
}

impl Sts {
    pub(crate) fn start() -> Result<Sts, Error> {
        // moto makes the certificate of each host with it and hangs without a word where it is missing.
        Command::new("openssl")
            .arg("version")
            .output()
            .map_err(Error::io("starting the STS stand-in: openssl, which it needs"))?;
        let requirements = tools::root().join("contract-tests/requirements/sts.txt");
        let venv = tools::python_venv("sts", &requirements)?;
        let python = venv.join("bin/python");
        let find = "import moto.moto_proxy as m; print(m.__path__[0], end='')";
        let found = process::output(process::guarded(&python).args(["-c", find]))
            .map_err(Error::io("starting the STS stand-in"))?;
        let authority = PathBuf::from(String::from_utf8_lossy(&found.stdout).into_owned()).join("ca.crt");
        let mut proxy = process::spawn(
            process::guarded(venv.join("bin/moto_proxy"))
                .args(["-H", "127.0.0.1", "-p", "0"])
                .env("PYTHONUNBUFFERED", "1")
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        )
        .map_err(Error::io("starting the STS stand-in"))?;
        let mut said = Vec::new();
        for line in proxy.take_output().0.into_iter().flat_map(|out| BufReader::new(out).lines()) {
            let line = line.map_err(Error::io("reading from the STS stand-in"))?;
            if let Some(address) = line.strip_prefix("Serving HTTP Proxy on ") {
                let address = address.trim_end_matches(['.', ' ']);
                return Ok(Sts { _proxy: proxy, url: format!("http://{address}"), authority });
            }
            said.push(line);
        }
        Err(Error::Program {
            command: "the STS stand-in".into(),
            outcome: "ended before it listened".into(),
            said: said.join("\n"),
        })
    }
}
