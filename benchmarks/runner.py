"""Compare the images per second of a runner and of one thread, interleaved, for benchmarks/README.md.

python benchmarks/runner.py --runs 400
"""

from __future__ import annotations

import argparse

from harness import table_head, table_row

from mpscnn.apps.benchmark import measure_runner, open_subject

MODELS = [
    ("cifar10_mobilenet_v2", False),  # the bundled model, with its own weights
    ("mobilenet_v1", True),
    ("mobilenet_v2", True),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=400, help="images of each")
    parser.add_argument("--inflight", type=int, default=3)
    arguments = parser.parse_args()
    print(
        table_head(
            "model", "in flight", "one thread", "submit", "ratio", "map", "ratio", "latency 50%", "95%", "99%"
        )
    )
    for name, random_weights in MODELS:
        subject = open_subject(name, random_weights=random_weights)
        measured = measure_runner(subject, inflight=arguments.inflight, runs=arguments.runs)
        cells = [
            f"{sorted(measured.session_rates)[len(measured.session_rates) // 2]:.0f}",
            f"{measured.images_per_second:.0f}",
            f"{measured.speedup:.2f}",
            f"{measured.map_images_per_second:.0f}",
            f"{measured.map_speedup:.2f}",
            *(f"{measured.latency(percentile):.2f} ms" for percentile in (50, 95, 99)),
        ]
        print(table_row([name, f"{measured.inflight} ({measured.sessions} x {measured.threads})", *cells]))


if __name__ == "__main__":
    main()
