"""The TensorFlow operations of a SavedModel, and those that one of ours may hold."""

import pathlib

from tensorflow.core.protobuf import saved_model_pb2

# All of it stock, and older than TensorFlow 2.15.
ALLOWED_OPERATIONS = set(
    "AddV2 All Any ArgMax Assert AssignVariableOp BatchMatMulV2 BiasAdd BroadcastTo Cast ConcatV2 "
    "Const Conv2D DecodeJpeg DisableCopyOnRead EnsureShape Equal Exp ExpandDims ExtractJpegShape "
    "Fill FloorDiv GatherV2 Greater GreaterEqual Identity IdentityN If IsFinite Less LessEqual "
    "Log LogicalAnd LogicalNot LogicalOr MatMul Max Maximum Mean MergeV2Checkpoints Minimum Mul "
    "Neg NoOp NotEqual OnesLike Pack PartitionedCall Placeholder PlaceholderWithDefault Prod "
    "Range ReadVariableOp RealDiv ReduceJoin Relu Reshape RestoreV2 ReverseV2 Rsqrt SaveV2 "
    "ScaleAndTranslate Select SelectV2 Shape ShardedFilename Sigmoid Slice Softmax Split Sqrt "
    "Square SquaredDifference Squeeze StatefulPartitionedCall StatelessIf StatelessWhile "
    "StaticRegexFullMatch StopGradient StridedSlice StringJoin StringStrip Sub Substr Sum Tanh "
    "TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem TensorListStack "
    "TensorScatterUpdate TopKV2 Transpose Unpack VarHandleOp VarIsInitializedOp Where While "
    "ZerosLike".split()
)


def operations_of(saved_model):
    """Returns the names of the operations of the SavedModel in a folder."""
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((pathlib.Path(saved_model) / "saved_model.pb").read_bytes())
    [meta_graph] = message.meta_graphs
    functions = meta_graph.graph_def.library.function
    nodes = list(meta_graph.graph_def.node)
    for function in functions:
        nodes.extend(function.node_def)
    return {node.op for node in nodes} - {function.signature.name for function in functions}
