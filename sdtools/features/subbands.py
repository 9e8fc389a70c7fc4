"""CF (Eq. 6) and CM (Eq. 7) of spatially differentiated (Eq. 2) sub-bands (Eq. 1), compiled.

`SubbandExtractor` filters with Eq. 1, `TriangularExtractor` with triangles. The loops are in
`kernels`. The modules `filterbank`, `differentiation` and `envelope` compute the same features step
by step, and the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sdtools.errors import SdError
from sdtools.features.envelope import EnvelopeOptions, check_num_ceps, magnitude_cepstrum, window
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz, design
from sdtools.features.kernels import (
    NUM_ROWS,
    UNROLL,
    Block,
    Transform,
    extract,
    extract_triangular,
)
from sdtools.features.samples import (
    check_features,
    check_frame_lengths,
    check_samples,
    count_frames,
)
from sdtools.features.silence import FrameGrid
from sdtools.features.triangular import triangular_weights

FEATURES = ("cf", "cm", "cfcm")

BLOCK = 1024
"""Frames computed at once. Besides samples and features, memory does not grow with the length."""


class SubbandExtractor:
    """Centroid frequency and magnitude of sub-bands, for several orders of differentiation.

    Parameters
    ----------
    bank, envelope
        Settings of the filter bank (Eq. 1) and of the envelope spectrum (Eq. 6, 7).
    sample_rate_hz
        Sample rate of the recordings.
    orders
        Orders of differentiation k (Eq. 2), one or more.
    features
        One or more of "cf", the centroid frequencies; "cm", the cepstra of the centroid magnitudes;
        and "cfcm", both side by side.

    Attributes
    ----------
    output_names
        Names of the features, such as "cf_sd6" for CF of order 6.
    outputs : dict
        Feature and order for each of these names.

    Raises
    ------
    SdError
        If settings and sample rate do not fit, or there are more cepstra than bands.

    Notes
    -----
    Zero padding between differentiations (section 4.2) is the same as repeating the highest filter
    output above the bank: its differences are the zeros. So one flat run of differences over rows
    with `max(orders)` repeated bands gives every order.
    The window is symmetric about the frame's centre, so cosine sums may take x(n) + x(L-1-n) and
    sine sums x(n) - x(L-1-n). If four divides L, the same is done once more about the middle of
    each half, separately for even and odd bins, which leaves a quarter of the products.
    Filtering and differences are float64, because differences cancel. They have the bits of
    `scipy.signal.lfilter` and `differentiate`. Rectified samples and spectra are float32.
    The first call on a machine compiles the loops, which takes up to a minute, and logs that.

    Examples
    --------
    >>> import numpy as np
    >>> extractor = SubbandExtractor(sample_rate_hz=16000, orders=(0, 6))
    >>> feats = extractor(0.1 * np.sin(np.arange(8000)))
    >>> {name: matrix.shape for name, matrix in feats.items()}
    {'cf_sd0': (49, 80), 'cf_sd6': (49, 80), 'cm_sd0': (49, 40), 'cm_sd6': (49, 40)}
    """

    suffix = ""  # after the name of the feature

    def __init__(
        self,
        bank: FilterBankOptions = FilterBankOptions(),
        envelope: EnvelopeOptions = EnvelopeOptions(),
        *,
        sample_rate_hz: int,
        orders: Sequence[int] = (0, 2, 4, 6),
        features: Sequence[str] = ("cf", "cm"),
    ):
        self.features = check_features(features, FEATURES)
        self.bank, self.options = design(bank, sample_rate_hz), envelope
        self.num_bands = bank.num_filters
        _check_orders(orders, self.num_bands)
        self.orders = np.array(sorted(orders))
        self.outputs = {self._name(f, k): (f, k) for f in self.features for k in orders}
        self.output_names = tuple(self.outputs)
        if self.features != ("cf",):
            check_num_ceps(envelope.num_ceps, self.num_bands)
        self.length, self.shift = check_frame_lengths(
            envelope.frame_length(sample_rate_hz), envelope.frame_shift(sample_rate_hz)
        )
        self.grid = FrameGrid(self.length, self.shift)
        bank_denominators = self.bank.denominators
        self.filters = np.stack([self.bank.gain, bank_denominators[:, 1], bank_denominators[:, 2]])
        self.weights = window(self.length)[: (self.length + 1) // 2].astype(np.float32)
        if self.length % 2:
            self.weights[-1] /= 2  # the middle sample is folded onto itself
        self.bins, self.bases = _folded_dft(envelope.bins(sample_rate_hz), self.length)
        freqs_hz = envelope.freqs_hz(sample_rate_hz)
        self.transform = Transform(
            self.weights,
            self.bases,
            (self.bins * (freqs_hz[-1] / self.bins.max())).astype(np.float32),
            np.float32(freqs_hz.mean()),
            np.float32(freqs_hz.sum()),
            np.float32(envelope.magnitude_floor),
        )

    def _name(self, feature: str, order: int) -> str:
        return f"{feature}{self.suffix}_sd{order}"

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1; one frame or more.

        Returns
        -------
        dict
            Output name: float32 matrix; (num_frames, num_filters) CF in Hz, (num_frames, num_ceps)
            cepstra of ln CM, or both.

        Raises
        ------
        SdError
            As `check_samples`; also if the recording is shorter than one frame, or float32
            overflows.
        """
        samples = check_samples(samples)
        num_frames = count_frames(len(samples), self.length, self.shift)
        num_ceps, floor = self.options.num_ceps, self.options.magnitude_floor
        dims = {"cf": self.num_bands, "cm": num_ceps, "cfcm": self.num_bands + num_ceps}
        feats = {
            name: np.empty((num_frames, dims[feature]), np.float32)
            for name, (feature, _) in self.outputs.items()
        }
        for start, cf, cm in self.centroids(samples, num_frames):
            if not (np.isfinite(cf).all() and np.isfinite(cm).all()):
                raise SdError("features", "float32 overflows", hint="Lower --orders")
            block = slice(start, start + cf.shape[1])
            for index, order in enumerate(self.orders.tolist()):
                if self.features != ("cf",):
                    ceps = magnitude_cepstrum(cm[index], num_ceps, floor)
                for feature in self.features:
                    matrix = feats[self._name(feature, order)][block]
                    if feature != "cm":
                        matrix[:, : self.num_bands] = cf[index]
                    if feature != "cf":
                        matrix[:, -num_ceps:] = ceps
        return feats

    def centroids(
        self, samples: np.ndarray, num_frames: int
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First frame, CF and CM of each block, before logarithm and cosine transform.

        CF and CM are (num_orders, any, num_filters) float32.
        """
        width = (self.num_bands + self.orders.max() + 7) // 8 * 8  # whole cache lines
        outputs = np.zeros((NUM_ROWS + 2, width))
        num_rows = (self.length // NUM_ROWS + 2) * NUM_ROWS
        ring = np.zeros((len(self.orders), num_rows, width), np.float32)
        filled = 0  # samples that went through the filters, in whole rows
        for start in range(0, num_frames, BLOCK):
            num = min(BLOCK, num_frames - start)
            end = -(-((start + num - 1) * self.shift + self.length) // NUM_ROWS) * NUM_ROWS
            piece = samples[max(filled - 2, 0) : end]
            # the filters' memory is two samples, zeros at first; zeros fill the last rows
            padded = np.zeros(end - filled + 2)
            first = 2 if filled == 0 else 0
            padded[first : first + len(piece)] = piece
            cf, cm = np.empty((2, len(self.orders), num, self.num_bands), np.float32)
            block = Block(padded, filled, start, self.shift, self.length)
            extract(block, self.filters, self.orders, self.transform, outputs, ring, cf, cm)
            filled = end
            yield start, cf, cm


class TriangularExtractor(SubbandExtractor):
    """`SubbandExtractor` with triangular bands on each frame's DCT-II (Table 1, last row).

    Wickramasinghe et al., section 5: "a triangular filter bank with same centre frequencies";
    signals go to the frequency domain "by applying DCT", filtering is "in a frame-wise manner", and
    "inverse DCT was applied prior to spatial differentiation". The paper leaves open the feet of
    the triangles (here the neighbouring centres), the frame (here 20 ms every 10 ms), and its
    window (here rectangular).

    Parameters
    ----------
    bank, envelope, sample_rate_hz, orders, features
        As of `SubbandExtractor`. The bank's bandwidth_scale and normalize_gain have no meaning here
        and must have their defaults.

    Attributes
    ----------
    output_names
        Names of the features, such as "cmtri_sd6" for CM of order 6.

    Raises
    ------
    SdError
        As `SubbandExtractor`; also if a triangle is narrower than the spacing of the DCT.

    Notes
    -----
    Cosines of even k are even about the frame's centre, those of odd k are odd, so half a frame of
    each gives all samples. Bands and differences are float64. From rectification on, all is as in
    `SubbandExtractor`, frame by frame.

    Examples
    --------
    >>> import numpy as np
    >>> extractor = TriangularExtractor(sample_rate_hz=16000, orders=(6,))
    >>> extractor(0.1 * np.sin(np.arange(8000)))["cmtri_sd6"].shape
    (49, 40)
    """

    suffix = "tri"

    def __init__(
        self,
        bank: FilterBankOptions = FilterBankOptions(),
        envelope: EnvelopeOptions = EnvelopeOptions(),
        *,
        sample_rate_hz: int,
        orders: Sequence[int] = (0, 2, 4, 6),
        features: Sequence[str] = ("cm",),
    ):
        super().__init__(
            bank, envelope, sample_rate_hz=sample_rate_hz, orders=orders, features=features
        )
        for name in ("bandwidth_scale", "normalize_gain"):
            got, default = getattr(bank, name), getattr(FilterBankOptions, name)
            if got != default:
                who = f"--{name.replace('_', '-')}"
                hint = "Leave it out: triangles have fixed widths and gains"
                raise SdError(who, got=got, need=f"{default}, the default", hint=hint)
        k, n = np.arange(self.length), np.arange(len(self.weights))
        lines_hz = k * sample_rate_hz / (2 * self.length)
        edges_hz = band_edges_hz(bank, sample_rate_hz)
        self.triangles = triangular_weights(edges_hz, lines_hz).T.copy()
        inside = self.triangles != 0
        ends = self.length - inside[:, ::-1].argmax(axis=1)
        self.spans = np.stack([inside.argmax(axis=1), ends], axis=1)
        self.cosines = np.sqrt(2 / self.length) * np.cos(np.pi / self.length * np.outer(k, n + 0.5))
        self.cosines[0] /= np.sqrt(2)

    def centroids(
        self, samples: np.ndarray, num_frames: int
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First frame, CF and CM of each block, before logarithm and cosine transform."""
        import scipy.fft

        frames = np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.shift]
        bank = self.triangles, self.spans, self.cosines
        for start in range(0, num_frames, BLOCK):
            dct = scipy.fft.dct(frames[start : start + BLOCK], norm="ortho")
            cf, cm = np.empty((2, len(self.orders), len(dct), self.num_bands), np.float32)
            extract_triangular(dct, *bank, self.orders, self.transform, cf, cm)
            yield start, cf, cm


def _check_orders(orders: Sequence[int], num_bands: int) -> None:
    """Refuse orders that the bank does not have."""
    if min(orders, default=-1) < 0 or len(set(orders)) < len(orders):
        got = repr(",".join(map(str, orders)))
        raise SdError("--orders", got=got, need="one or more from 0, each once")
    if max(orders) >= num_bands:
        need = f"less than {num_bands}, the number of bands"
        raise SdError("--orders", got=max(orders), need=need)


def _folded_dft(bins: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins in groups that share a fold of the frame, and the cosines and sines of their lines.

    Returns
    -------
    bins : (num_groups, num_freqs) float64
        One group, or the even and the odd bins. The smaller group ends with zeros.
    bases : (2 num_groups, num_freqs, num_folded) float32
        Cosines of each group, then sines; zeros from the fold up to a multiple of UNROLL, and for
        the zeros of `bins`.
    """
    if length % 4:
        groups, num_rows = [bins], (length + 1) // 2
    else:
        groups, num_rows = [bins[bins % 2 == 0], bins[bins % 2 == 1]], length // 4
    num_freqs, num_folded = max(map(len, groups)), -(-num_rows // UNROLL) * UNROLL
    grouped = np.zeros((len(groups), num_freqs))
    bases = np.zeros((2 * len(groups), num_freqs, num_folded), np.float32)
    for part, group in enumerate(groups):
        distances = np.arange(num_rows) - (length - 1) / 2
        phase = 2 * np.pi / length * np.outer(group, distances)
        grouped[part, : len(group)] = group
        bases[part, : len(group), :num_rows] = np.cos(phase)
        bases[part + len(groups), : len(group), :num_rows] = np.sin(phase)
    return grouped, bases
