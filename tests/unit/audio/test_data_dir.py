from pathlib import Path

from sdtools.audio.data_dir import write_data_dir, write_table


def test_tables_are_sorted_and_spk2utt_is_made(place):
    utt2spk = {"b-2": "b", "a-1": "a", "b-1": "b"}
    wavs = {utt: f"/x y/{utt}.wav" for utt in utt2spk}
    write_data_dir(Path("data/eval"), {"wav.scp": wavs, "utt2spk": utt2spk})
    folder = place / "data/eval"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "wav.scp": "a-1 /x y/a-1.wav\nb-1 /x y/b-1.wav\nb-2 /x y/b-2.wav\n",
        "utt2spk": "a-1 a\nb-1 b\nb-2 b\n",
        "spk2utt": "a a-1\nb b-1 b-2\n",
    }


def test_any_path_can_be_written(place):
    write_table(Path("t"), [("a", "/\udcff.wav"), ("b", "/é.wav")])
    assert Path("t").read_bytes() == b"a /\xff.wav\nb /\xc3\xa9.wav\n"
