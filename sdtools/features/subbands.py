"""The fast path from samples to CF and CM, compiled: filter, differentiate and rectify in one pass, a few lines of each spectrum.

`filterbank`, `differentiation` and `envelope` say the same plainly; `tests/test_subbands.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numba import njit

from sdtools.errors import SdError
from sdtools.features.envelope import EnvelopeOptions, magnitude_cepstrum, window
from sdtools.features.filterbank import FilterBankOptions, band_edges_hz, design
from sdtools.features.samples import check_choice, check_samples, count_frames
from sdtools.features.triangular import triangular_weights

FEATURES = ("cf", "cm", "cfcm")
NUM_ROWS = 16
"""Samples filtered at once, a multiple of 4: their sub-bands stay in the first-level cache for all differences."""
BLOCK = 1024
"""Frames computed at once: beside samples and features, memory does not grow with the recording."""
UNROLL = 8
"""Folded samples that go into a spectrum at once: each line is then read and written that many times less often."""


class SubbandExtractor:
    """Static features of every asked order and kind from one pass over a recording.

    Parameters
    ----------
    bank, envelope
        Settings of the filter bank (Eq. 1) and of the envelope spectrum (Eq. 6, 7).
    sample_rate_hz
        Rate of the recordings.
    orders
        Differentiation orders k.
    features
        "cf", "cm", or "cfcm": both side by side.

    Raises
    ------
    ValueError
        If settings and sample rate do not fit, or more cepstra are asked for than there are bands.

    Notes
    -----
    Zero padding between differentiations (section 4.2) is the same as repeating the highest filter output above the bank: its
    differences are the zeros. So one flat run of differences over rows with `max(orders)` repeated bands gives every order.
    The window is symmetric about the frame's centre, so cosine sums may take x(n) + x(L-1-n) and sine sums x(n) - x(L-1-n); if
    four divides L, the same once more about the middle of each half, apart for even and odd bins: a quarter of the products.
    Filtering and differences are float64, because they cancel, and have the bits of `scipy.signal.lfilter` and
    `differentiate`; rectified samples and spectra are float32.
    """

    suffix = ""  # of the features' names

    def __init__(
        self,
        bank: FilterBankOptions = FilterBankOptions(),
        envelope: EnvelopeOptions = EnvelopeOptions(),
        *,
        sample_rate_hz: int,
        orders: Sequence[int] = (0, 2, 4, 6),
        features: Sequence[str] = ("cf", "cm"),
    ):
        self.bank = design(bank, sample_rate_hz)
        self.options = envelope
        self.features = check_choice(features, FEATURES)
        if min(orders, default=-1) < 0 or len(set(orders)) < len(orders):
            got = repr(",".join(map(str, orders)))
            raise SdError("orders", got=got, need="one or more from 0, each once")
        self.orders = np.array(sorted(orders))
        self.outputs = {
            f"{feature}{self.suffix}_sd{order}": (feature, order)
            for feature in self.features
            for order in orders
        }
        self.length = envelope.frame_length(sample_rate_hz)
        self.shift = envelope.frame_shift(sample_rate_hz)
        if self.shift < 1 or self.length < 2:
            raise ValueError(
                f"subbands: frames: got {self.length} samples every {self.shift}, need 2 or more every 1 or more. "
                "Raise --frame-length-ms or --frame-shift-ms"
            )
        self.freqs_hz = envelope.freqs_hz(sample_rate_hz)
        num_bands = bank.num_filters
        if self.features != ("cf",) and envelope.num_ceps > num_bands:
            raise ValueError(
                f"subbands: num_ceps: got {envelope.num_ceps}, need at most {num_bands}, the number of bands"
            )
        if max(orders) >= num_bands:
            raise ValueError(
                f"subbands: orders: got {max(orders)}, need less than {num_bands}, the number of bands. Lower --orders"
            )
        self.filters = np.stack(
            [self.bank.gain, self.bank.denominators[:, 1], self.bank.denominators[:, 2]]
        )
        self.weights = window(self.length)[: (self.length + 1) // 2].astype(np.float32)
        if self.length % 2:
            self.weights[-1] /= 2  # the middle sample is folded onto itself
        bins = envelope.bins(sample_rate_hz)
        if self.length % 4:
            groups, num_rows = [bins], len(self.weights)
        else:
            groups, num_rows = [bins[bins % 2 == 0], bins[bins % 2 == 1]], self.length // 4
        self.bins = np.zeros(
            (len(groups), max(map(len, groups)))
        )  # rows of the smaller group that stay 0 have no spectrum
        self.bases = np.zeros(
            (2 * len(groups), self.bins.shape[1], -(-num_rows // UNROLL) * UNROLL), np.float32
        )
        for part, group in enumerate(groups):
            phase = (
                2
                * np.pi
                / self.length
                * np.outer(group, np.arange(num_rows) - (self.length - 1) / 2)
            )
            self.bins[part, : len(group)] = group
            self.bases[part, : len(group), :num_rows] = np.cos(phase)
            self.bases[part + len(groups), : len(group), :num_rows] = np.sin(phase)
        self.transform = (  # what takes rectified bands to CF and CM
            self.weights,
            self.bases,
            (self.bins * (self.freqs_hz[-1] / self.bins.max())).astype(np.float32),
            np.float32(self.freqs_hz.mean()),
            np.float32(self.freqs_hz.sum()),
            np.float32(envelope.magnitude_floor),
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what a call returns, such as cf_sd6."""
        return tuple(self.outputs)

    def __call__(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Static features of one recording.

        Parameters
        ----------
        samples : (num_samples,) array
            Full scale is 1.

        Returns
        -------
        dict
            Name -> float32: (num_frames, num_filters) CF in Hz, (num_frames, num_ceps) cepstra of ln CM, or both.

        Raises
        ------
        ValueError
            If the recording is shorter than one frame, or so loud that float32 overflows.
        """
        samples = check_samples(samples)
        num_frames = count_frames(len(samples), self.length, self.shift)
        num_bands, num_ceps = self.filters.shape[1], self.options.num_ceps
        dims = {"cf": num_bands, "cm": num_ceps, "cfcm": num_bands + num_ceps}
        out = {
            name: np.empty((num_frames, dims[feature]), np.float32)
            for name, (feature, _) in self.outputs.items()
        }
        for start, cf, cm in self.centroids(samples, num_frames):
            if not (np.isfinite(cf).all() and np.isfinite(cm).all()):
                peak = np.abs(samples).max()
                raise ValueError(
                    f"subbands: features: got overflow from a peak of {peak:g}, need full scale to be 1. Scale the samples down"
                )
            for index, order in enumerate(self.orders.tolist()):
                ceps = (
                    None
                    if self.features == ("cf",)
                    else magnitude_cepstrum(cm[index], num_ceps, self.options.magnitude_floor)
                )
                for feature in self.features:
                    feats = out[f"{feature}{self.suffix}_sd{order}"][start : start + cf.shape[1]]
                    if feature != "cm":
                        feats[:, :num_bands] = cf[index]
                    if feature != "cf":
                        feats[:, dims[feature] - num_ceps :] = ceps
        return out

    def centroids(
        self, samples: np.ndarray, num_frames: int
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First frame of a block, and its CF and CM before logarithm and cosine transform, each (num_orders, any, num_filters) float32."""
        num_bands = self.filters.shape[1]
        width = (num_bands + self.orders.max() + 7) // 8 * 8  # whole cache lines
        outputs = np.zeros((NUM_ROWS + 2, width))
        ring = np.zeros(
            (len(self.orders), (self.length // NUM_ROWS + 2) * NUM_ROWS, width), np.float32
        )
        filled = 0  # samples that went through the filters, in whole rows
        for start in range(0, num_frames, BLOCK):
            num = min(BLOCK, num_frames - start)
            end = -(-((start + num - 1) * self.shift + self.length) // NUM_ROWS) * NUM_ROWS
            piece = samples[max(filled - 2, 0) : end]
            padded = np.zeros(
                end - filled + 2
            )  # the filters' memory is two samples, zeros at first; zeros fill the last rows
            first = 2 if filled == 0 else 0
            padded[first : first + len(piece)] = piece
            cf, cm = np.empty((2, len(self.orders), num, num_bands), np.float32)
            block = padded, filled, start, self.shift, self.length
            _extract(*block, self.filters, self.orders, *self.transform, outputs, ring, cf, cm)
            filled = end
            yield start, cf, cm


class TriangularExtractor(SubbandExtractor):
    """`SubbandExtractor` whose bands are triangles on each frame's DCT-II, turned back into signals of its length (Table 1, last row).

    Wickramasinghe et al., section 5: "a triangular filter bank with same centre frequencies"; signals go to the frequency domain "by
    applying DCT", filtering is "in a frame-wise manner", and "inverse DCT was applied prior to spatial differentiation".
    Left open there: the triangles' feet (here the neighbouring centres), the frame (20 ms every 10 ms), its window (rectangular).

    Raises
    ------
    ValueError
        As `SubbandExtractor`; also if settings that only Eq. 1 has are changed, or a triangle is narrower than the DCT's spacing.

    Notes
    -----
    Cosines of even k are even about the frame's centre, those of odd k are odd: half a frame of either gives all samples. Bands
    and differences are float64; from rectification on all is `SubbandExtractor`, within the frame.
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
        if (bank.bandwidth_scale, bank.normalize_gain) != (
            FilterBankOptions.bandwidth_scale,
            False,
        ):
            raise ValueError(
                f"triangular bank: got bandwidth_scale {bank.bandwidth_scale:g}, normalize_gain {bank.normalize_gain}, "
                "need their defaults: triangles have neither. Leave them out"
            )
        k, n = np.arange(self.length), np.arange(len(self.weights))
        self.triangles = triangular_weights(
            band_edges_hz(bank, sample_rate_hz), k * sample_rate_hz / (2 * self.length)
        ).T.copy()
        inside = self.triangles != 0
        self.spans = np.stack(
            [inside.argmax(axis=1), self.length - inside[:, ::-1].argmax(axis=1)], axis=1
        )
        self.cosines = np.sqrt(2 / self.length) * np.cos(np.pi / self.length * np.outer(k, n + 0.5))
        self.cosines[0] /= np.sqrt(2)

    def centroids(
        self, samples: np.ndarray, num_frames: int
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """First frame of a block, and its CF and CM before logarithm and cosine transform, each (num_orders, any, num_filters) float32."""
        import scipy.fft

        frames = np.lib.stride_tricks.sliding_window_view(samples, self.length)[:: self.shift]
        for start in range(0, num_frames, BLOCK):
            dct = scipy.fft.dct(frames[start : start + BLOCK], norm="ortho")
            cf, cm = np.empty((2, len(self.orders), len(dct), len(self.triangles)), np.float32)
            _extract_triangular(
                dct, self.triangles, self.spans, self.cosines, self.orders, *self.transform, cf, cm
            )
            yield start, cf, cm


# Only what Python calls, each with types that never change, is cached: where a function has several forms, numba lets processes that start
# at once write one form under another's name.
@njit(cache=True, nogil=True)
def _extract(
    padded,
    filled,
    start,
    shift,
    length,
    filters,
    orders,
    weights,
    bases,
    freqs_hz,
    mean_hz,
    sum_hz,
    floor,
    outputs,
    ring,
    cf,
    cm,
):
    """Walk over a block: filter the samples that the next frames need into a ring of rows, then take their spectra."""
    num_orders, num_rows, width = ring.shape
    num_frames, num_bands = cf.shape[1:]
    flat = ring.reshape(num_orders, num_rows * width)
    levels = np.zeros((2, NUM_ROWS * width))
    folded, spectra = _buffers(bases, num_bands)
    position = 0
    for frame in range(num_frames):
        first = (start + frame) * shift
        while filled + position < first + length:
            _filter(padded[position : position + NUM_ROWS + 2], filters, outputs)
            _differentiate_and_rectify(
                outputs, levels, orders, num_bands, flat, (filled + position) % num_rows * width
            )
            position += NUM_ROWS
        for index in range(num_orders):
            _transform(ring[index], first, length, weights, bases, folded, spectra)
            _centroids(
                spectra, freqs_hz, mean_hz, sum_hz, floor, cf[index, frame], cm[index, frame]
            )


@njit(cache=True, nogil=True)
def _extract_triangular(
    dct, triangles, spans, cosines, orders, weights, bases, freqs_hz, mean_hz, sum_hz, floor, cf, cm
):
    """Eq. 6 and 7 of frames, one at a time: its rectified bands of every order stay in the cache."""
    num_orders, num_frames, num_bands = cf.shape
    length = dct.shape[1]
    num_rows = (length + NUM_ROWS - 1) // NUM_ROWS * NUM_ROWS
    width = (num_bands + orders.max() + 7) // 8 * 8  # whole cache lines
    bands = np.zeros((num_bands, num_rows))
    outputs = np.zeros((NUM_ROWS + 2, width))
    levels = np.zeros((2, NUM_ROWS * width))
    magnitudes = np.zeros((num_orders, num_rows, width), np.float32)
    flat = magnitudes.reshape(num_orders, num_rows * width)
    folded, spectra = _buffers(bases, num_bands)
    for frame in range(num_frames):
        _synthesize(dct[frame], triangles, spans, cosines, bands)
        for first in range(0, num_rows, NUM_ROWS):
            for i in range(width):
                band = bands[min(i, num_bands - 1)]
                for t in range(NUM_ROWS):
                    outputs[t + 2, i] = band[first + t]
            _differentiate_and_rectify(outputs, levels, orders, num_bands, flat, first * width)
        for index in range(num_orders):
            _transform(magnitudes[index], 0, length, weights, bases, folded, spectra)
            _centroids(
                spectra, freqs_hz, mean_hz, sum_hz, floor, cf[index, frame], cm[index, frame]
            )


@njit(nogil=True)
def _filter(samples, filters, outputs):
    """NUM_ROWS more samples through every filter of Eq. 1; the first two rows of `outputs` are its memory."""
    gain, a1, a2 = filters[0], filters[1], filters[2]
    num_bands, width = filters.shape[1], outputs.shape[1]
    outputs[0], outputs[1] = outputs[NUM_ROWS], outputs[NUM_ROWS + 1]
    for t in range(0, NUM_ROWS, 4):  # four at a time, so that a band's memory stays in registers
        x0, x1, x2, x3, x4, x5 = (
            samples[t],
            samples[t + 1],
            samples[t + 2],
            samples[t + 3],
            samples[t + 4],
            samples[t + 5],
        )
        before, last = outputs[t], outputs[t + 1]
        out0, out1, out2, out3 = outputs[t + 2], outputs[t + 3], outputs[t + 4], outputs[t + 5]
        for i in range(num_bands):  # the order of scipy's lfilter: the same bits
            g = gain[i]
            y0 = (-g * x0 - a2[i] * before[i]) - a1[i] * last[i] + g * x2
            y1 = (-g * x1 - a2[i] * last[i]) - a1[i] * y0 + g * x3
            y2 = (-g * x2 - a2[i] * y0) - a1[i] * y1 + g * x4
            y3 = (-g * x3 - a2[i] * y1) - a1[i] * y2 + g * x5
            out0[i], out1[i], out2[i], out3[i] = y0, y1, y2, y3
    for t in range(2, NUM_ROWS + 2):
        for i in range(num_bands, width):
            outputs[t, i] = outputs[t, num_bands - 1]


@njit(nogil=True)
def _synthesize(dct, triangles, spans, cosines, bands):
    """Inverse DCT of every band of a frame."""
    length, half = len(dct), cosines.shape[1]
    parts = np.empty((2, half))
    for i in range(len(bands)):
        parts[:] = 0
        for k in range(spans[i, 0], spans[i, 1]):
            part, factor, cosine = parts[k % 2], triangles[i, k] * dct[k], cosines[k]
            for n in range(half):
                part[n] += factor * cosine[n]
        for n in range(half):
            bands[i, n] = parts[0, n] + parts[1, n]
            bands[i, length - 1 - n] = parts[0, n] - parts[1, n]


@njit(nogil=True)
def _differentiate_and_rectify(outputs, levels, orders, num_bands, ring, position):
    """Eq. 2 over rows laid end to end, two orders at a step where it can; |.| of each asked order into the ring at `position`."""
    width = outputs.shape[1]
    source = outputs[2:].reshape(NUM_ROWS * width)
    order, num_steps = 0, 0
    for index in range(len(orders)):
        while order < orders[index]:
            target = levels[num_steps % 2]
            num_steps += 1
            if order + 2 <= orders[index]:
                for i in range(len(source) - 2):
                    target[i] = (source[i + 2] - source[i + 1]) - (source[i + 1] - source[i])
                order += 2
            else:
                for i in range(len(source) - 1):
                    target[i] = source[i + 1] - source[i]
                order += 1
            source = target
        magnitudes = ring[index][position : position + len(source)]
        for i in range(len(source)):
            magnitudes[i] = abs(source[i])
        if order > 0:
            for i in range(num_bands - 1, len(source), width):
                magnitudes[i] = magnitudes[i - 1]


@njit(nogil=True)
def _buffers(bases, num_bands):
    """Space for the folded samples of a frame, whose rows beyond the fold stay 0, and for its spectra."""
    num_parts, num_freqs, num_folded = bases.shape
    return np.zeros((num_parts, num_folded, num_bands), np.float32), np.empty(
        (num_parts, num_freqs, num_bands), np.float32
    )


@njit(nogil=True, fastmath={"contract", "nsz"})
def _transform(ring, first, length, weights, bases, folded, spectra):
    """Cosine and sine sums of a frame of rectified bands: bases @ folded for each part, which is too small for BLAS to be fast."""
    if len(bases) == 4:
        _fold_twice(ring, first, length, weights, folded)
    else:
        _fold(ring, first, length, weights, folded)
    num_bands = folded.shape[2]
    spectra[:] = 0
    for part in range(len(bases)):
        for n in range(0, folded.shape[1], UNROLL):
            rows = folded[part, n : n + UNROLL]
            x0, x1, x2, x3, x4, x5, x6, x7 = (
                rows[0],
                rows[1],
                rows[2],
                rows[3],
                rows[4],
                rows[5],
                rows[6],
                rows[7],
            )
            for k in range(bases.shape[1]):
                c, out = bases[part, k, n : n + UNROLL], spectra[part, k]
                c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
                for i in range(num_bands):
                    out[i] += (c0 * x0[i] + c1 * x1[i] + c2 * x2[i] + c3 * x3[i]) + (
                        c4 * x4[i] + c5 * x5[i] + c6 * x6[i] + c7 * x7[i]
                    )


@njit(nogil=True)
def _fold(ring, first, length, weights, folded):
    """Weighted sums and differences of rectified samples that lie symmetrically about the frame's centre."""
    for n in range(len(weights)):
        left, right = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        even, odd = folded[0, n], folded[1, n]
        for i in range(len(even)):
            even[i] = weights[n] * (left[i] + right[i])
            odd[i] = weights[n] * (left[i] - right[i])


@njit(nogil=True)
def _fold_twice(ring, first, length, weights, folded):
    """`_fold`, and again about the middle of the halves: even and odd bins for cosines, even and odd bins for sines."""
    for n in range(length // 4):
        mirror = length // 2 - 1 - n
        outer, inner = weights[n], weights[mirror]
        a, d = ring[(first + n) % len(ring)], ring[(first + length - 1 - n) % len(ring)]
        b, c = ring[(first + mirror) % len(ring)], ring[(first + length - 1 - mirror) % len(ring)]
        even_cosine, odd_cosine, even_sine, odd_sine = (
            folded[0, n],
            folded[1, n],
            folded[2, n],
            folded[3, n],
        )
        for i in range(len(even_cosine)):
            outer_sum, inner_sum = outer * (a[i] + d[i]), inner * (b[i] + c[i])
            outer_difference, inner_difference = outer * (a[i] - d[i]), inner * (b[i] - c[i])
            even_cosine[i], odd_cosine[i] = outer_sum + inner_sum, outer_sum - inner_sum
            even_sine[i], odd_sine[i] = (
                outer_difference - inner_difference,
                outer_difference + inner_difference,
            )


@njit(nogil=True, fastmath=True)
def _centroids(spectra, freqs_hz, mean_hz, sum_hz, floor, cf, cm):
    """Eq. 6 and 7 from the spectra of a frame."""
    num_bands = len(cf)
    total, moment = np.zeros(num_bands, np.float32), np.zeros(num_bands, np.float32)
    for part in range(freqs_hz.shape[0]):
        for k in range(freqs_hz.shape[1]):
            real, imaginary, freq_hz = (
                spectra[part, k],
                spectra[part + freqs_hz.shape[0], k],
                freqs_hz[part, k],
            )
            for i in range(num_bands):
                magnitude = np.sqrt(real[i] * real[i] + imaginary[i] * imaginary[i])
                total[i] += magnitude
                moment[i] += freq_hz * magnitude
    for i in range(num_bands):
        cf[i] = moment[i] / total[i] if total[i] > floor else mean_hz
        cm[i] = moment[i] / sum_hz
