# Everything CI runs: formatting, lints, documentation, tests.
ci:
    .ci/run

# Formatting, lints and documentation.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --features ndarray,download -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features ndarray,download

# Tests, one process each.
test:
    cargo nextest run --workspace --tests --features ndarray,download
    cargo test --workspace --features ndarray,download --doc

# A fit, performers and the filter loss on wgpu: needs a Vulkan driver.
test-wgpu *flags:
    .ci/wgpu {{flags}}

# Whether it compiles for CUDA, without a GPU or the toolkit; with DOCS_RS no LLVM is fetched, which a check can do without.
check-cuda:
    DOCS_RS=1 cargo check --locked --features cuda --tests --examples

# How long a step of fitting takes, and its pieces.
bench *flags:
    cargo bench {{flags}}

# The whole method on synthetic species.
demo *flags:
    cargo run --release --example cub_vgg16 -- {{flags}}

# Trains the performer that ships with the demo.
train-performer *flags:
    cargo run --release --example train_performer -- {{flags}}

# The fitting step beside PyTorch's, in turn: needs a Python with torch, numpy and safetensors.
bench-peer *flags:
    python3 benches/peer/compare.py {{flags}}

# How a step's time and memory grow with its sizes: needs a Python with numpy and matplotlib.
bench-growth *flags:
    python3 benches/peer/growth.py {{flags}}

# The report of a small fit in headless Chromium, if there is one.
test-browser:
    cargo run --release --example cub_vgg16 -- --birds 60 --epochs 1 --crops 0 --out target/browser
    tests/browser/run target/browser/report.html
