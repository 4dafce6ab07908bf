import java.io.ByteArrayOutputStream;
import java.lang.reflect.Type;
import java.util.HashSet;
import java.util.Set;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.Handle;
import jdk.internal.org.objectweb.asm.Label;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;

/** Loads the classes of a unit, counted. */
class Counted extends ClassLoader {
    final Unit unit;

    Counted(Unit unit) {
        super(Steps.class.getClassLoader());
        this.unit = unit;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        ByteArrayOutputStream bytes = unit.classes.get(name);
        if (bytes == null) throw new ClassNotFoundException(name);
        ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_MAXS);
        new ClassReader(bytes.toByteArray()).accept(new Counter(writer), 0);
        byte[] counted = writer.toByteArray();
        return defineClass(name, counted, 0, counted.length);
    }
}

/** Puts calls of Steps into a class: where a method begins, before jumps back, and at what takes memory. */
class Counter extends ClassVisitor {
    static final String STEPS = "Steps";

    Counter(ClassVisitor next) {
        super(Opcodes.ASM8, next);
    }

    @Override
    public MethodVisitor visitMethod(
            int access, String name, String descriptor, String signature, String[] exceptions) {
        MethodVisitor next = super.visitMethod(access, name, descriptor, signature, exceptions);
        return new MethodVisitor(Opcodes.ASM8, next) {
            final Set<Label> seen = new HashSet<>();

            void take(String descriptor) {
                super.visitMethodInsn(Opcodes.INVOKESTATIC, STEPS, "take", descriptor, false);
            }

            @Override
            public void visitCode() {
                super.visitCode();
                super.visitMethodInsn(Opcodes.INVOKESTATIC, STEPS, "takeCall", "()V", false);
            }

            @Override
            public void visitMethodInsn(int opcode, String owner, String name, String type, boolean isInterface) {
                super.visitMethodInsn(opcode, owner, name, type, isInterface);
                takeText(type);
            }

            @Override
            public void visitInvokeDynamicInsn(String name, String type, Handle bootstrap, Object... arguments) {
                super.visitInvokeDynamicInsn(name, type, bootstrap, arguments);
                takeText(type); // javac joins strings so
            }

            void takeText(String type) {
                if (!type.endsWith(")Ljava/lang/String;")) return;
                super.visitInsn(Opcodes.DUP);
                take("(Ljava/lang/String;)V");
            }

            @Override
            public void visitLabel(Label label) {
                seen.add(label);
                super.visitLabel(label);
            }

            @Override
            public void visitJumpInsn(int opcode, Label label) {
                if (seen.contains(label)) take("()V");
                super.visitJumpInsn(opcode, label);
            }

            @Override
            public void visitIntInsn(int opcode, int operand) {
                if (opcode == Opcodes.NEWARRAY) take("(I)I");
                super.visitIntInsn(opcode, operand);
            }

            @Override
            public void visitTypeInsn(int opcode, String type) {
                if (opcode == Opcodes.ANEWARRAY) take("(I)I");
                super.visitTypeInsn(opcode, type);
            }

            @Override
            public void visitMultiANewArrayInsn(String type, int dimensions) {
                if (dimensions == 3) {
                    super.visitLdcInsn(jdk.internal.org.objectweb.asm.Type.getObjectType(type));
                    take("(IIILjava/lang/Class;)Ljava/lang/Object;");
                    super.visitTypeInsn(Opcodes.CHECKCAST, type);
                    return;
                }
                super.visitInsn(Opcodes.DUP2);
                take("(II)V");
                super.visitMultiANewArrayInsn(type, dimensions);
            }
        };
    }
}
