"""Packaging: the library, its console commands and the extras that tests and benchmarks need."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
COMMANDS = sorted(p.stem for p in (HERE / "sdtools" / "bin").glob("*.py") if p.stem != "__init__")

setup(
    name="sdtools",
    version=re.search(r'__version__ = "(.+)"', (HERE / "sdtools" / "__init__.py").read_text())[1],
    description="Replay-spoofing detection with spatially differentiated auditory features",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["sdtools", "sdtools.*"]),
    package_data={"sdtools": ["py.typed"]},
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.11",
        "kaldiio>=2.18",
        "soundfile>=0.12",
        "joblib>=1.3",
        "numba>=0.59",
        "tqdm>=4.60",
        "threadpoolctl>=3.2",
        "matplotlib>=3.7",
    ],
    extras_require={
        "formats": ["av>=12"],
        "bench": ["librosa>=0.10", "spafe>=0.3"],
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "imageio-ffmpeg>=0.5",
            "kaldi-native-io>=1.22",
            "scikit-learn>=1.4",
            "selenium>=4.15",
            "mypy>=1.10",
            "ruff>=0.6",
        ],
    },
    entry_points={
        "console_scripts": [
            f"sd-{name.replace('_', '-')} = sdtools.bin.{name}:main" for name in COMMANDS
        ],
    },
)
