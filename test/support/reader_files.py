"""Small valid files for each reader of input."""

import io
import json

import numpy as np
from PIL import Image

H, W = 24, 32
K = [30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0]


def image_bytes(array, kind='png'):
    """An image file of an array."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def array_bytes(array, packed=False):
    """A ``.npy`` file, or a ``.npz`` file, of an array."""
    stream = io.BytesIO()
    np.savez_compressed(stream, points=array) if packed else np.save(stream, array)
    return stream.getvalue()


def _mask():
    mask = np.zeros((H, W), np.uint8)
    mask[5:15, 8:20] = 255
    return mask


def cameras():
    """Calibrations by file name."""
    message = f'height: {H}\nwidth: {W}\nk: {K}\nd: [0.1, 0, 0, 0, 0]\n'
    opencv = ('%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n'
              f'   data: {K}\nimage_width: {W}\nimage_height: {H}\n')
    kalibr = ('cam0:\n  camera_model: pinhole\n  intrinsics: [30, 30, 15.5, 11.5]\n'
              f'  distortion_model: radtan\n  resolution: [{W}, {H}]\n')
    return {'a.yaml': message.encode(), 'b.yaml': opencv.encode(), 'c.yaml': kalibr.encode(),
            'd.yaml': (message + '---\n' + message).encode(),
            'e.json': json.dumps({'1': {'cam_K': K, 'depth_scale': 0.1}}).encode(),
            'f.txt': b'30 0 15.5\n0 30 11.5\n0 0 1\n'}


def depths():
    """Depth images by file name."""
    depth = np.full((H, W), 900, np.uint16)
    metres = depth.astype(np.float32) / 1000
    return {'a.png': image_bytes(depth), 'b.tiff': image_bytes(depth, 'tiff'),
            'c.tiff': image_bytes(metres, 'tiff'), 'd.npy': array_bytes(metres),
            'e.npz': array_bytes(metres, True)}


def masks():
    """Masks by file name."""
    mask = _mask()
    palette = Image.fromarray(mask // 255).convert('P')
    palette.putpalette([0, 0, 0, 128, 0, 0])
    stream = io.BytesIO()
    palette.save(stream, 'png')
    rle = {'size': [H, W], 'counts': [H * W // 2, 40, H * W - H * W // 2 - 40]}
    coco = {'images': [{'id': 1, 'file_name': 'a.png', 'height': H, 'width': W}],
            'annotations': [{'id': 5, 'image_id': 1, 'segmentation': [[2, 2, 20, 2, 9, 19]]}]}
    return {'a.png': image_bytes(mask), 'b.png': stream.getvalue(),
            'c.jpg': image_bytes(mask, 'jpeg'), 'd.npy': array_bytes(mask[None] > 0),
            'e.npz': array_bytes(mask, True), 'f.json': json.dumps(rle).encode(),
            'g.json': json.dumps(coco).encode(),
            'h.png': image_bytes(np.dstack([mask, mask, mask, mask]))}


def clouds():
    """Clouds of 20 points by file name."""
    points = np.linspace(0.5, 1, 60, dtype=np.float32).reshape(20, 3)
    text = ''.join(f'{x:f} {y:f} {z:f}\n' for x, y, z in points).encode()
    ply = 'ply\nformat {} 1.0\nelement vertex 20\n' + ''.join(
        f'property float {c}\n' for c in 'xyz') + 'end_header\n'
    pcd = ('VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 20\nHEIGHT 1\n'
           'POINTS 20\nDATA {}\n')
    columns = points.T.tobytes()
    lzf = b''.join(bytes([len(c) - 1]) + c for c in (columns[i:i + 32] for i in
                                                     range(0, len(columns), 32)))
    sizes = np.array([len(lzf), len(columns)], '<u4').tobytes()
    return {'a.ply': ply.format('ascii').encode() + text,
            'b.ply': ply.format('binary_little_endian').encode() + points.tobytes(),
            'c.ply': ply.format('binary_big_endian').encode() + points.astype('>f4').tobytes(),
            'd.pcd': pcd.format('ascii').encode() + text,
            'e.pcd': pcd.format('binary').encode() + points.tobytes(),
            'f.pcd': pcd.format('binary_compressed').encode() + sizes + lzf,
            'g.npy': array_bytes(points), 'h.npz': array_bytes(points, True)}


def urdfs():
    """URDFs by file name."""
    return {'a.urdf': b'<robot name="r"><link name="a"><visual><geometry><box size="1 1 1"/>'
                      b'</geometry></visual></link><link name="b"><visual><geometry>'
                      b'<mesh filename="package://r/m.stl" scale="1 1 1"/></geometry></visual>'
                      b'</link><joint name="j" type="revolute"><parent link="a"/>'
                      b'<child link="b"/><axis xyz="0 0 1"/><limit lower="0" upper="1"/>'
                      b'</joint></robot>'}


def recordings():
    """Recordings of three frames by file name; needs rosbags."""
    import tempfile
    from pathlib import Path

    import plain_bags

    views = plain_bags.small_views(3)
    entries = plain_bags.camera_entries(views)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, storage, compression in (
                ('a.mcap', 'mcap', ''), ('b.mcap', 'mcap', 'storage'), ('c.db3', 'sqlite3', ''),
                ('d.db3', 'sqlite3', 'message'), ('e.mcap.zstd', 'mcap', 'file')):
            bag = plain_bags.write(root / name[0], storage, entries, compression)
            found[name] = plain_bags.storage_file(bag).read_bytes()
        found['f.mcap'] = plain_bags.lz4_mcap(root / 'f.mcap', entries).read_bytes()
        found['g.bag'] = plain_bags.write(root / 'g.bag', 'ros1', plain_bags.camera_entries(
            views, store=plain_bags.ROS1)).read_bytes()
    return found
