"""``python -m benchmarks``: what can be measured, and by which command."""

import importlib
import pkgutil

import benchmarks

if __name__ == "__main__":
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_"):
            summary = (importlib.import_module(f"benchmarks.{module.name}").__doc__ or "").strip().splitlines()[0]
            print(f"python -m benchmarks.{module.name:16} {summary}")
