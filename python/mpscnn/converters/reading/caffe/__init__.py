"""Convert Caffe's networks: a .prototxt with the layers, a .caffemodel with the weights."""
