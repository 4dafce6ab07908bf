import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** Values as they cross the pipes; java_types.py has the other end. */
class Values {
    static final int MOST_ELEMENTS = 100_000;

    static String string(DataInputStream in) throws IOException {
        byte[] bytes = in.readNBytes(in.readInt());
        return ByteBuffer.wrap(bytes).asCharBuffer().toString(); // and not String, which replaces half characters
    }

    static void write(DataOutputStream out, String text) throws IOException {
        out.writeInt(2 * text.length());
        out.writeChars(text); // and not getBytes, which replaces half characters
    }

    /** The type itself, or what a type variable or wildcard is bounded by. */
    static Type bounded(Type type) {
        if (type instanceof TypeVariable) return bounded(((TypeVariable<?>) type).getBounds()[0]);
        if (type instanceof WildcardType) return bounded(((WildcardType) type).getUpperBounds()[0]);
        if (type instanceof GenericArrayType)
            return Array.newInstance(raw(((GenericArrayType) type).getGenericComponentType()), 0).getClass();
        return type;
    }

    static Class<?> raw(Type type) {
        Type bound = bounded(type);
        return bound instanceof ParameterizedType
                ? (Class<?>) ((ParameterizedType) bound).getRawType()
                : (Class<?>) bound;
    }

    static Type argument(Type type, int index) {
        return type instanceof ParameterizedType
                ? ((ParameterizedType) type).getActualTypeArguments()[index]
                : Object.class;
    }

    static Object read(DataInputStream in, Type type) throws Exception {
        byte tag = in.readByte();
        switch (tag) {
            case 'N': return null;
            case 'Z': return in.readBoolean();
            case 'B': return in.readByte();
            case 'S': return in.readShort();
            case 'C': return in.readChar();
            case 'I': return in.readInt();
            case 'J': return in.readLong();
            case 'F': return in.readFloat();
            case 'D': return in.readDouble();
            case 'G': return new BigInteger(string(in));
            case 'T':
                String text = string(in);
                return raw(type) == StringBuilder.class
                        ? new StringBuilder(text)
                        : raw(type) == StringBuffer.class ? new StringBuffer(text) : text;
            case 'L': return sequence(in, type);
            case 'M': return map(in, type);
            default: throw new IOException("tag " + tag);
        }
    }

    static Object sequence(DataInputStream in, Type type) throws Exception {
        int size = in.readInt();
        Class<?> raw = raw(type);
        if (raw.isArray()) {
            Type element = type instanceof GenericArrayType
                    ? ((GenericArrayType) type).getGenericComponentType()
                    : raw.getComponentType();
            Object array = Array.newInstance(raw.getComponentType(), size);
            for (int i = 0; i < size; i++) Array.set(array, i, read(in, element));
            return array;
        }
        @SuppressWarnings("unchecked")
        Collection<Object> all = (Collection<Object>) made(raw, List.of(
                ArrayList.class, ArrayDeque.class, LinkedHashSet.class, TreeSet.class));
        for (int i = 0; i < size; i++) all.add(read(in, argument(type, 0)));
        return all;
    }

    static Object map(DataInputStream in, Type type) throws Exception {
        @SuppressWarnings("unchecked")
        Map<Object, Object> all =
                (Map<Object, Object>) made(raw(type), List.of(LinkedHashMap.class, TreeMap.class));
        for (int n = in.readInt(); n > 0; n--) all.put(read(in, argument(type, 0)), read(in, argument(type, 1)));
        return all;
    }

    /** An empty collection of the class, or the first choice that implements the interface. */
    static Object made(Class<?> raw, List<Class<?>> choices) throws Exception {
        if (!raw.isInterface() && !Modifier.isAbstract(raw.getModifiers()) && raw != Object.class)
            return raw.getConstructor().newInstance();
        for (Class<?> choice : choices) if (raw.isAssignableFrom(choice)) return choice.getConstructor().newInstance();
        throw new IOException("no collection for " + raw);
    }

    static class Unwritable extends IOException {
        Unwritable(String message) {
            super(message);
        }
    }

    static class Writer {
        final DataOutputStream out;
        int elements;

        Writer(DataOutputStream out) {
            this.out = out;
        }

        void write(Object value, int depth) throws IOException {
            if (++elements > MOST_ELEMENTS || depth > 32) throw new Unwritable("output");
            if (value == null) {
                out.writeByte('N');
            } else if (value instanceof Boolean) {
                out.writeByte('Z');
                out.writeBoolean((Boolean) value);
            } else if (value instanceof Character) {
                text("" + value);
            } else if (value instanceof Float || value instanceof Double) {
                out.writeByte('D');
                out.writeDouble(((Number) value).doubleValue());
            } else if (value instanceof BigInteger) {
                out.writeByte('G');
                Values.write(out, value.toString());
            } else if (value instanceof Byte || value instanceof Short || value instanceof Integer
                    || value instanceof Long) {
                out.writeByte('J');
                out.writeLong(((Number) value).longValue());
            } else if (value instanceof CharSequence) {
                text(value.toString());
            } else if (value.getClass().isArray()) {
                start('L', Array.getLength(value));
                for (int i = 0; i < Array.getLength(value); i++) write(Array.get(value, i), depth + 1);
            } else if (value instanceof Collection) {
                Collection<?> all = (Collection<?>) value;
                start(value instanceof Set ? 'H' : 'L', all.size());
                for (Object each : all) write(each, depth + 1);
            } else if (value instanceof Map) {
                Map<?, ?> all = (Map<?, ?>) value;
                start('M', all.size());
                for (Map.Entry<?, ?> each : all.entrySet()) {
                    write(each.getKey(), depth + 1);
                    write(each.getValue(), depth + 1);
                }
            } else {
                throw new Unwritable("class " + value.getClass().getName());
            }
        }

        void start(char tag, int size) throws IOException {
            out.writeByte(tag);
            out.writeInt(size);
        }

        void text(String text) throws IOException {
            elements += text.length();
            if (elements > MOST_ELEMENTS) throw new Unwritable("output");
            out.writeByte('T');
            Values.write(out, text);
        }
    }
}
