# The commands of README.md and CONTRIBUTING.md by name; `just` alone lists them. Nothing here needs just: each recipe
# runs a block of a page, which can be typed as well.

set shell := ["bash", "-euc"]

# The environment that `just setup` makes; its programs lie in Scripts on Windows.
in_venv := 'PATH="$PWD/.venv-dev/bin:$PWD/.venv-dev/Scripts:$PATH"'

_list:
    @just --list --unsorted

# Make .venv-dev and install everything into it, torch included
setup:
    @.ci/block README.md install

# Run the tests, or those named: just test tests/cli
test *tests:
    @.ci/block README.md test {{ tests }}

# Run every check but the tests
lint:
    @{{ in_venv }} .ci/block CONTRIBUTING.md checks

# Format, and fix what ruff can fix
format:
    @{{ in_venv }} .ci/block CONTRIBUTING.md format

# Measure everything, or the parts named, and write the tables into docs/performance.md
bench *parts:
    @{{ in_venv }} .ci/block CONTRIBUTING.md bench {{ parts }}

# Train and export all that ships, from the judge on
models:
    @{{ in_venv }} .ci/block CONTRIBUTING.md models

# Check the pages: links, snippets, help texts
docs:
    @{{ in_venv }} .ci/block CONTRIBUTING.md docs

# Build the site of the pages into site/
site:
    @{{ in_venv }} .ci/block CONTRIBUTING.md site

# Do all that CI does, in a fresh clone of what is committed
ci:
    @.ci/run
