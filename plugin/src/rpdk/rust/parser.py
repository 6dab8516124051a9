"""The options of `cfn init … rust`."""

from .build import DEFAULT_RUNTIME, GLIBC


def setup_subparser(subparsers, parents):
    parser = subparsers.add_parser(
        "rust",
        description="Lays out a Rust project with one resource type that works as it is.",
        parents=parents,
    )
    parser.set_defaults(language="rust")
    parser.add_argument(
        "--runtime",
        choices=sorted(GLIBC),
        default=DEFAULT_RUNTIME,
        help="The Lambda runtime; provided.al2023 by default, since Lambda deprecates provided.al2.",
    )
    parser.add_argument(
        "--crate-path",
        metavar="FOLDER",
        help="A checkout of the runtime crate cfn-provider, instead of the published one.",
    )
    return parser
